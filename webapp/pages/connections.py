"""`/admin/connections/`: the records, each with its live state."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_admin import expose
from flask_admin.model import BaseModelView
from wtforms import Form

from database.models import Connection
from webapp import store
from webapp.connections import listing
from webapp.connections.connection_fields import ConnectionForm
from webapp.messages import kept
from webapp.pages.commands import CommandPages
from webapp.pages.connection_changes import ChangePages
from webapp.pages.connection_forms import FormPages
from webapp.pages.connection_list import ListPages, is_under_way
from webapp.pages.importing import ImportPages
from webapp.people import accounts
from webapp.picture import live
from webapp.picture.overview import Item
from webapp.wording.lazy import lazy_gettext as _


class ConnectionView(
    ListPages,
    FormPages,
    ChangePages,
    CommandPages,
    ImportPages,
    BaseModelView,  # type: ignore[misc]
):
    """List, new, edit, details, delete; enable, disable or reconnect one or many."""

    column_list = ("state", "name", "site", "broker", "reason", "since", "messages")
    column_labels = {  # noqa: RUF012 - the library's own style
        "state": _("State"),
        "name": _("Name"),
        "site": _("Site"),
        "broker": _("Broker, client id"),
        "reason": _("Reason"),
        "since": _("Duration, 24 h"),
        "messages": _("Messages"),
    }
    page_size = 50
    can_set_page_size = True
    page_size_options = (20, 50, 100, 200)
    can_view_details = True
    list_template = "connections/list.html"

    def __init__(self) -> None:
        super().__init__(
            Connection, "Connections", endpoint="connections", url="/admin/connections"
        )

    # --- what the library asks for

    def scaffold_list_columns(self) -> list[str]:
        return list(self.column_list)

    def scaffold_sortable_columns(self) -> dict[str, str]:
        return {name: name for name in listing.SORT_KEYS}

    def init_search(self) -> bool:
        return True

    def search_placeholder(self) -> str:
        return str(_("Name, site, host, client id"))

    def scaffold_form(self) -> type[Form]:
        return ConnectionForm

    def scaffold_list_form(self, *_args: Any, **_kwargs: Any) -> type[Form]:
        return Form

    def get_pk_value(self, model: Item) -> int:
        return model.id

    # --- pages

    @expose("/details/")
    def details_view(self) -> Any:
        record = self._asked_for()
        found = live.picture([record["id"]])
        item = found.items[0] if found.items else abort(404)
        with store.reading() as transaction:
            stored = kept.read(transaction, accounts.settings_of_app(), only=record["id"])
        return self.render(
            "connections/details.html",
            record=record,
            item=item,
            is_under_way=is_under_way(item),
            kept=stored,
            parts=live.detail_parts(found),
            banner=live.banner(found),
        )
