"""`/admin/people/`: who may sign in and what they may do; for administrators."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_admin import BaseView, expose

from webapp import accounts


class PeopleView(BaseView):  # type: ignore[misc]
    """All accounts, and what an administrator can do with each."""

    def __init__(self) -> None:
        super().__init__("People", endpoint="people", url="/admin/people")

    def is_accessible(self) -> bool:
        """Accounts are for administrators."""
        return accounts.may_administer()

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Any:
        abort(403)

    @expose("/")
    def index_view(self) -> Any:
        return self.render("people/list.html")
