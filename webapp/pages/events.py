"""`/admin/events/`: what happened when, to which connection, and why."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request
from flask_admin import BaseView, expose

from webapp import exporting, store
from webapp.connections import records
from webapp.past import timeline
from webapp.past.timeline import Filter

PAGE_SIZE = 50


class EventView(BaseView):  # type: ignore[misc]
    """The timeline of all connections, of one with `?connection=ID`, and its export."""

    def __init__(self) -> None:
        super().__init__("Events", endpoint="events", url="/admin/events")

    @expose("/")
    def index_view(self) -> Any:
        wanted = Filter.asked(request.args)
        before = records.identifier(request.args.get("before"))
        with store.reading() as transaction:
            found = timeline.search(transaction, wanted, before, PAGE_SIZE)
            name = records.name_of(transaction, wanted.connection)
            reasons = timeline.reasons_of(transaction, wanted)
        return self.render(
            "events.html",
            wanted=wanted,
            found=found,
            before=before,
            connection_name=name,
            reasons=reasons,
            states=timeline.STATES,
            spans=timeline.SPANS,
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
            lambda transaction, before, limit: timeline.search(transaction, wanted, before, limit),
        )
        return exporting.download("events", kind, exporting.EVENTS, found)
