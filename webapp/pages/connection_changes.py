"""What the buttons of the list do with one record or many: enable, disable, ask, delete."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from webapp import store
from webapp.connections import records, selection
from webapp.front import back
from webapp.pages import commands
from webapp.wording import texts


class ChangePages:
    """The part of the connections' view that changes records without their form."""

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> Any:
        number = records.identifier(request.form.get("id"))
        delete([number] if number else [])
        return redirect(_back())

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Any:
        """Enable, disable, reconnect or delete the records in `rowid`, or all that matched."""
        wish = request.form.get("action")
        ids = _ids()
        if request.form.get("all") and not ids:
            flash(str(texts.ASK_AGAIN), "warning")
        elif wish in ("enable", "disable"):
            switch(ids, enabled=wish == "enable")
        elif wish == "delete":
            delete(ids)
        elif wish in commands.MANY:
            commands.ask_many(wish, ids)
        return redirect(_back())


def _back() -> str:
    return back.asked_for() or url_for("connections.index_view")


def _ids() -> list[int]:
    """Return the records that a form names: by their rows, or all that its page found to match."""
    if request.form.get("all"):
        return selection.unpack(request.form.get("matched", ""))
    return [number for number in map(records.identifier, request.form.getlist("rowid")) if number]


def switch(ids: list[int], *, enabled: bool) -> None:
    """Enable or disable records; flash what was done."""
    with store.writing() as transaction:
        changed = records.enable(transaction, ids, enabled)
        names = sorted(records.names(transaction, ids).values())
    if not names:
        flash(str(texts.NOTHING_SELECTED), "warning")
    elif not changed:
        flash(_unchanged(names, enabled), "info")
    else:
        flash(_switched(changed, names, enabled), "success")


def _unchanged(names: list[str], enabled: bool) -> str:
    shown = texts.named(names)
    if enabled:
        return str(_("Already enabled: %(names)s.", names=shown))
    return str(_("Already disabled: %(names)s.", names=shown))


def _switched(number: int, names: list[str], enabled: bool) -> str:
    shown = {"number": texts.number(number), "names": texts.named(names)}
    if enabled:
        words = ngettext(
            "%(number)s connection enabled: %(names)s.",
            "%(number)s connections enabled: %(names)s.",
            number,
            **shown,
        )
    else:
        words = ngettext(
            "%(number)s connection disabled: %(names)s.",
            "%(number)s connections disabled: %(names)s.",
            number,
            **shown,
        )
    return str(words)


def delete(ids: list[int]) -> None:
    """Delete records; flash which."""
    with store.writing() as transaction:
        names = sorted(records.names(transaction, ids).values())
        records.remove(transaction, ids)
    if names:
        flash(_("Deleted: %(names)s.", names=texts.named(names)), "success")
    else:
        flash(str(texts.RECORD_GONE), "warning")
