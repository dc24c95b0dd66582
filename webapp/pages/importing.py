"""`/admin/connections/import`: a file of connections, looked at first; and its export."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError

from webapp import store
from webapp.auditing import audit_words, changes
from webapp.auditing.audit_words import Line
from webapp.connections import (
    import_plan,
    import_text,
    importing,
    portability,
    records,
    subscriptions,
)
from webapp.connections.import_plan import Plan
from webapp.connections.import_text import NoTextError
from webapp.connections.importing import OutdatedError, RejectedError
from webapp.connections.uploads import Uploads
from webapp.people import accounts
from webapp.wording import texts

log = structlog.get_logger(__name__)
#: Records and problems of a file that its page shows.
MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would do."""

    token: str | None
    created: list[Plan]
    changed: list[Plan]
    same: int
    #: (item, name, field, sentence) of all that is wrong; then nothing is applied.
    problems: list[tuple[int, str, str, str]]
    #: Whether it is shown again because connections have changed since the first look.
    is_renewed: bool = False


class ImportPages:
    """The part of the connections' view that takes and gives files."""

    @expose("/import", methods=("GET", "POST"))
    def import_view(self) -> Any:
        """Ask for a file, show what it would do, or apply the one that was shown."""
        if not accounts.may_edit():
            abort(403)
        if request.method == "GET":
            return _page()
        try:
            token = request.form.get("token")
            kept = f"\n{_sent()}" if token is None else _taken(token)
            return _go_on(kept)
        except RejectedError as error:
            return _page(wrong=error.lines)

    @expose("/export.json")
    def export_json_view(self) -> Response:
        """Return all connections as the import takes them, without secrets."""
        with store.reading() as transaction:
            found = portability.export(transaction)
        # A line a record: what comes out must be small enough to go in again.
        lines = (json.dumps(record, ensure_ascii=False, default=str) for record in found)
        answer = Response("[\n" + ",\n".join(lines) + "\n]\n", mimetype="application/json")
        name = f"hawser-connections-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer


def _sent() -> str:
    """Return the text of the file that was sent. Raises RejectedError."""
    file = request.files.get("file")
    content = file.read() if file else b""
    if not content:
        raise RejectedError([_("Choose a file first.")])
    try:
        return import_text.decoded(content)
    except NoTextError as error:
        raise RejectedError([str(error)]) from None


def _look(text: str, *, again: bool = False) -> Any:
    items = importing.parse(text)
    importing.refuse_too_many(items)
    with store.reading() as transaction:
        plans = import_plan.make(transaction, items, accounts.settings_of_app().hostname)
    problems = [
        (plan.index + 1, plan.name, field, sentence)
        for plan in plans
        for field, sentence in plan.problems.items()
    ]
    preview = Preview(
        token=None if problems or not plans else _keep(text, plans),
        created=[plan for plan in plans if plan.stored is None],
        changed=[plan for plan in plans if plan.stored is not None and plan.is_change],
        same=sum(plan.stored is not None and not plan.is_change for plan in plans),
        problems=problems,
        is_renewed=again,
    )
    return _page(preview)


def _keep(text: str, plans: list[Plan]) -> str:
    """Keep a file together with what was shown of it; return what it is asked back with."""
    return _uploads().keep(accounts.email(), f"{import_plan.fingerprint(plans)}\n{text}")


def _taken(token: str) -> str:
    """Return what was kept. Raises RejectedError."""
    kept = _uploads().take(accounts.email(), token)
    if kept is None:
        raise RejectedError([_("The file is no longer here: choose it again.")])
    return kept


def _go_on(kept: str) -> Any:
    """Show what a file would do, or apply it if it was shown; while the database is busy keep it.

    Raises RejectedError.
    """
    expected, _line_end, text = kept.partition("\n")
    try:
        return _apply(expected, text) if expected else _look(text)
    except SQLAlchemyError as error:
        log.error("a file could not be applied", kind=type(error).__name__)
        busy = _(
            "The database could not take this just now. Nothing was changed, and the file is "
            "still here: try again."
        )
        return _page(wrong=[busy], kept=_uploads().keep(accounts.email(), kept))


def _apply(expected: str, text: str) -> Any:
    # Before the transaction: everybody else waits for that.
    items, hostname = importing.parse(text), accounts.settings_of_app().hostname
    try:
        with store.writing() as transaction:
            done = importing.apply(transaction, items, hostname, expected)
    except OutdatedError:
        return _look(text, again=True)
    numbers = {name: texts.number(each) for name, each in zip(_DONE, done, strict=True)}
    told = _("Imported: %(created)s created, %(changed)s changed, %(same)s already so.", **numbers)
    flash(told, "success")
    return redirect(url_for("connections.index_view"))


_DONE = ("created", "changed", "same")


def lines(plan: Plan) -> list[Line]:
    """Return what would change in a record that there is, as the audit log would tell it."""
    before = plan.stored or {}
    told = changes.between(before, records.stored(plan.changes))
    if plan.new_subscriptions is not None:
        told |= changes.of_subscriptions(before["subscriptions"], plan.new_subscriptions)
    return audit_words.lines("connection.update", changes.told(told))


def _page(preview: Preview | None = None, wrong: Any = (), kept: str | None = None) -> Any:
    return render_template(
        "connections/import.html",
        preview=preview,
        wrong=wrong,
        kept=kept,
        lines=lines,
        most=MOST_SHOWN,
        fields=(*records.FIELDS, *subscriptions.FIELDS),
    )


def _uploads() -> Uploads:
    found: Uploads = current_app.extensions.setdefault("hawser-uploads", Uploads())
    return found
