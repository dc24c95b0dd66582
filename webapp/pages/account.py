"""`/admin/account/`: one's own password, second factor and sessions."""

from __future__ import annotations

from typing import Any

from flask_admin import BaseView, expose


class AccountView(BaseView):  # type: ignore[misc]
    """What everybody may look after by themselves."""

    def __init__(self) -> None:
        super().__init__("Your account", endpoint="account", url="/admin/account")

    @expose("/")
    def index_view(self) -> Any:
        return self.render("account/index.html")
