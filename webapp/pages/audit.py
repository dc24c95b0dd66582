"""`/admin/audit/`: who changed what, when, from what to what; for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response, abort, request
from flask_admin import BaseView, expose
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, select

from database.models import Connection
from webapp import columns, exporting, store
from webapp.auditing import audit_log, audit_words
from webapp.auditing.audit_log import Filter
from webapp.connections import records
from webapp.people import accounts

PAGE_SIZE = 50
#: Rows of an export at most, and rows read at a time.
EXPORT_ROWS, EXPORT_SLICE = 100_000, 1_000


class AuditView(BaseView):  # type: ignore[misc]
    """The log of all changes, of one connection with `?connection=ID`, and its export."""

    def __init__(self) -> None:
        super().__init__("Changes", endpoint="audit", url="/admin/audit")

    def is_accessible(self) -> bool:
        """Entries tell who did what from where: that is for administrators."""
        return accounts.may_administer()

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Any:
        abort(403)

    @expose("/")
    def index_view(self) -> Any:
        wanted = Filter.asked(request.args)
        before = records.identifier(request.args.get("before"))
        with store.reading() as transaction:
            found = audit_log.search(transaction, wanted, before, PAGE_SIZE)
            name = _name(transaction, wanted)
            actors = audit_log.actors(transaction)
        return self.render(
            "audit.html",
            wanted=wanted,
            found=found,
            before=before,
            connection_name=name,
            actors=actors,
            actions=audit_words.ACTIONS,
            words=audit_words,
            spans=audit_log.SPANS,
            days=accounts.settings_of_app().audit_days,
            export_rows=EXPORT_ROWS,
        )

    @expose("/export")
    def export(self) -> Response:
        """Stream what the filter shows, newest first, as `format` says: csv or jsonl."""
        kind = request.args.get("format", "csv")
        if kind not in exporting.FORMATS:
            abort(400)
        slices = _slices(store.engine(), Filter.asked(request.args))
        return exporting.download("audit", kind, exporting.AUDIT, slices)


def _slices(engine: Engine, wanted: Filter) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield what `wanted` selects, each slice in a short transaction of its own."""
    left, before = EXPORT_ROWS, None
    while left:
        with store.reading(engine) as transaction:
            found = audit_log.search(transaction, wanted, before, min(left, EXPORT_SLICE))
        if found.rows:
            yield [audit_words.exported(entry) for entry in found.rows]
        left -= len(found.rows)
        before = found.before
        if before is None:
            return


def _name(transaction: Transaction, wanted: Filter) -> str | None:
    """Return the name of the one connection that is asked for, None for many or a lost one."""
    if wanted.connection is None:
        return None
    query = select(columns.words(Connection.name)).where(Connection.id == wanted.connection)
    found: str | None = transaction.scalar(query)
    return found
