"""`/admin/audit/`: who changed what, when, from what to what; for administrators."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request
from flask_admin import expose

from webapp import exporting, store
from webapp.auditing import audit_log, audit_words
from webapp.auditing.audit_log import Filter
from webapp.connections import records
from webapp.pages.restricted import AdministratorsView
from webapp.people import accounts

PAGE_SIZE = 50
#: What an export holds.
TABLE = exporting.Table(
    ("id", "at", "who", "address", "action", "kind", "subject_id", "subject", "changes"),
    audit_words.exported,
)


class AuditView(AdministratorsView):
    """The log of all changes, of one connection with `?connection=ID`, and its export."""

    def __init__(self) -> None:
        super().__init__("Changes", endpoint="audit", url="/admin/audit")

    @expose("/")
    def index_view(self) -> Any:
        wanted = Filter.asked(request.args)
        before = records.identifier(request.args.get("before"))
        with store.reading() as transaction:
            found = audit_log.search(transaction, wanted, before, PAGE_SIZE)
            name = records.name_of(transaction, wanted.connection)
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
            export_rows=exporting.ROWS,
        )

    @expose("/export")
    def export(self) -> Response:
        """Stream what the filter shows, newest first, as `format` says: csv or jsonl."""
        kind = request.args.get("format", "csv")
        if kind not in exporting.FORMATS:
            abort(400)
        wanted = Filter.asked(request.args)
        found = exporting.slices(
            store.engine(),
            lambda transaction, before, limit: audit_log.search(transaction, wanted, before, limit),
        )
        return exporting.download("audit", kind, TABLE, found)
