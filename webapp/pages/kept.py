"""`/admin/kept/`: how many messages are stored, and what is removed when."""

from __future__ import annotations

from typing import Any

from flask_admin import BaseView, expose

from webapp import store
from webapp.messages import kept
from webapp.people import accounts

#: Connections on the page.
SHOWN = 200


class KeptView(BaseView):  # type: ignore[misc]
    """What is kept of each connection, and the limits in force."""

    def __init__(self) -> None:
        super().__init__("What is kept", endpoint="kept", url="/admin/kept")

    @expose("/")
    def index_view(self) -> Any:
        settings = accounts.settings_of_app()
        with store.reading() as transaction:
            found = kept.read(transaction, settings)
        return self.render("kept.html", kept=found, limit=SHOWN)
