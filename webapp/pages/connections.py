"""`/admin/connections/`: the records, each with its live state."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from flask import abort, flash, g, redirect, request
from flask_admin import expose
from flask_admin.model import BaseModelView
from wtforms import Form

from database.models import Connection
from webapp import accounts, connection_form, kept, live, records, saving, store, texts, timeline
from webapp.connection_form import ConnectionForm
from webapp.overview import Item
from webapp.pages import commands
from webapp.pages.commands import CommandPages

#: An address that a form may lead back to: on this site, and fit for a header.
_OWN_PAGE = re.compile(r"/admin/[^\x00-\x20\x7f-\x9f\\]*")
#: Events on the details page.
LAST_EVENTS = 20

#: The chips above the list: word, and which connections it selects.
CHIPS: dict[str, tuple[str, Callable[[Item], bool]]] = {
    "all": ("All", lambda item: True),
    "connected": ("Connected", lambda item: item.enabled and item.up),
    "failing": ("Not connected", lambda item: item.enabled and not item.up),
    "disabled": ("Disabled", lambda item: not item.enabled),
}
#: How each column sorts.
SORT_KEYS: dict[str, Callable[[Item], Any]] = {
    "state": lambda item: (texts.rank(item.state), item.name.lower()),
    "name": lambda item: item.name.lower(),
    "site": lambda item: item.site.lower(),
    "broker": lambda item: (str(item.host), str(item.port), item.client_id),
    "since": lambda item: item.since.timestamp() if item.since else 0.0,
}


class ConnectionView(CommandPages, BaseModelView):  # type: ignore[misc]
    """List, new, edit, details, delete; enable, disable or reconnect one or many."""

    column_list = ("state", "name", "site", "broker", "reason", "since", "messages")
    column_labels = {  # noqa: RUF012 - the library's own style
        "broker": "Broker, client id",
        "since": "Since, 24 h",
        "messages": "Messages",
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
        return {name: name for name in SORT_KEYS}

    def init_search(self) -> bool:
        return True

    def search_placeholder(self) -> str:
        return "Name, site, host, client id"

    def scaffold_form(self) -> type[Form]:
        return ConnectionForm

    def scaffold_list_form(self, *_args: Any, **_kwargs: Any) -> type[Form]:
        return Form

    def get_pk_value(self, model: Item) -> int:
        return model.id

    def get_one(self, id: Any) -> Any:  # noqa: A002 - the library's name
        number = records.identifier(id)
        if number is None:
            return None
        with store.reading() as transaction:
            return records.load(transaction, number)

    def get_list(
        self,
        page: int,
        sort_column: str | None,
        sort_desc: bool,
        search: str | None,
        filters: Any,
        execute: bool = True,
        page_size: int | None = None,
    ) -> tuple[int, Sequence[Item]]:
        g.picture = live.picture()
        found = [item for item in g.picture.items if _matches(item, search)]
        g.chips = [
            (name, label, sum(map(chosen, found))) for name, (label, chosen) in CHIPS.items()
        ]
        g.banner = live.banner(g.picture)
        chosen = CHIPS.get(request.args.get("show", "all"), CHIPS["all"])[1]
        found = sorted(filter(chosen, found), key=SORT_KEYS[sort_column or "state"])
        if sort_desc:
            found.reverse()
        size = page_size or self.page_size
        start = max(page, 0) * size
        shown = found[start : start + size]
        g.days = live.ribbons(g.picture, shown)
        g.lines = live.sparklines(g.picture, shown)
        return len(found), shown

    # --- pages

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Any:
        if not accounts.may_edit():
            abort(403)
        form = connection_form.build(request.form or None, records.defaults())
        if request.method == "POST" and (name := saving.save(form, None)):
            flash(f"Connection “{name}” was created.", "success")
            return redirect(self._after_save())
        return self._form_page(form, None)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Any:
        if not accounts.may_edit():
            abort(403)
        record = self._asked_for()
        form = connection_form.build(request.form or None, record)
        if request.method == "POST" and (name := saving.save(form, record)):
            flash(f"Connection “{name}” was saved.", "success")
            return redirect(self._after_save())
        return self._form_page(form, record)

    @expose("/details/")
    def details_view(self) -> Any:
        record = self._asked_for()
        found = live.picture([record["id"]])
        with store.reading() as transaction:
            last = timeline.latest(transaction, record["id"], LAST_EVENTS)
            stored = kept.read(transaction, accounts.settings_of_app(), only=record["id"])
        return self.render(
            "connections/details.html",
            record=record,
            item=found.items[0] if found.items else abort(404),
            events=last,
            kept=stored,
            parts=live.detail_parts(found),
            banner=live.banner(found),
        )

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> Any:
        number = records.identifier(request.form.get("id"))
        self._delete([number] if number else [])
        return redirect(self._back())

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Any:
        """Enable, disable, reconnect or delete the records in `rowid`."""
        ids = [
            number for number in map(records.identifier, request.form.getlist("rowid")) if number
        ]
        wish = request.form.get("action")
        if wish in ("enable", "disable"):
            self._switch(ids, enabled=wish == "enable")
        elif wish == "delete":
            self._delete(ids)
        elif wish in commands.MANY:
            commands.ask_many(wish, ids)
        return redirect(self._back())

    # --- helpers

    def _asked_for(self) -> records.Values:
        found: records.Values | None = self.get_one(request.args.get("id"))
        if found is None:
            abort(404, texts.RECORD_GONE)
        return found

    def _form_page(self, form: ConnectionForm, record: records.Values | None) -> Any:
        if form.errors or any(entry.form.errors for entry in form.subscriptions):
            flash(texts.NOT_SAVED, "danger")
        return self.render(
            "connections/form.html",
            form=form,
            record=record,
            groups=connection_form.GROUPS,
            required=connection_form.REQUIRED,
            blank=connection_form.blank_row(),
            return_url=self._back(),
            save_url=self._save_url(record),
            test_url=self.get_url(".test_view", id=record and record["id"]),
        )

    def _save_url(self, record: records.Values | None) -> str:
        if record is None:
            return str(self.get_url(".create_view"))
        return str(self.get_url(".edit_view", id=record["id"]))

    def _after_save(self) -> str:
        if "_add_another" in request.form:
            return str(self.get_url(".create_view", url=self._back()))
        return self._back()

    def _back(self) -> str:
        """Return the page to go back to: one of ours, whatever was asked for."""
        asked = request.values.get("url", "")
        return asked if _OWN_PAGE.fullmatch(asked) else str(self.get_url(".index_view"))

    def _switch(self, ids: list[int], *, enabled: bool) -> None:
        with store.writing() as transaction:
            changed = records.enable(transaction, ids, enabled)
            names = sorted(records.names(transaction, ids).values())
        word = "enabled" if enabled else "disabled"
        if not names:
            flash(texts.NOTHING_SELECTED, "warning")
        elif not changed:
            flash(f"Already {word}: {texts.named(names)}.", "info")
        else:
            flash(f"{texts.count(changed, 'connection')} {word}: {texts.named(names)}.", "success")

    def _delete(self, ids: list[int]) -> None:
        with store.writing() as transaction:
            names = sorted(records.names(transaction, ids).values())
            records.remove(transaction, ids)
        if names:
            flash(f"Deleted: {texts.named(names)}.", "success")
        else:
            flash(texts.RECORD_GONE, "warning")


def _matches(item: Item, search: str | None) -> bool:
    if not search:
        return True
    text = f"{item.name}\n{item.site}\n{item.host}\n{item.client_id}".lower()
    return search.strip().lower() in text
