"""`/admin/messages/`: what came in, to be looked through, followed, and taken away as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, abort, jsonify, redirect, render_template, request
from flask_admin import BaseView, expose
from sqlalchemy import Connection as Transaction

from database.models import DeadLetter, Message
from webapp import exporting, store
from webapp.connections import records
from webapp.messages import files, rows, search, shown, streams
from webapp.messages.asking import Filter
from webapp.messages.rows import Row
from webapp.messages.search import Found, Place
from webapp.past.timeline import SPANS

PAGE_SIZE = 50
#: New messages that one look of a live page brings, and that it counts at most.
LIVE_ROWS, LIVE_COUNTED = 50, 1_000
#: Rows of an export at most.
EXPORT_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """What a search brought, as the templates show it."""

    found: Found
    rows: Sequence[Row]
    #: When the last message came that was looked at, of a search that was stopped.
    reached: datetime | None

    @property
    def onward(self) -> dict[str, Any]:
        """What to add to an address that goes on where this search ended; empty at the end."""
        if self.found.rest is None:
            return {}
        scanned = {"scan": 1} if self.found.too_many_topics else {}
        return {"before": self.found.rest, **scanned}


class MessageView(BaseView):  # type: ignore[misc]
    """The list with its live tail and its export, one message, and what was set aside."""

    def __init__(self) -> None:
        super().__init__("Messages", endpoint="messages", url="/admin/messages")

    @expose("/")
    def index_view(self) -> Any:
        wanted, place = Filter.asked(request.args), _place()
        problems = wanted.problems()
        with store.reading() as transaction:
            page = _nothing() if problems else _look(transaction, wanted, place)
            name = records.name_of(transaction, wanted.connection)
        if not place.newest and not page.found.stopped and len(page.rows) < PAGE_SIZE:
            # The top is reached: from here on it is the first page, which fills up.
            return redirect(self.get_url(".index_view", **wanted.arguments()))
        return self.render(
            "messages/list.html",
            wanted=wanted,
            place=place,
            page=page,
            problems=problems,
            connection_name=name,
            spans=SPANS,
            export_rows=EXPORT_ROWS,
            page_size=PAGE_SIZE,
        )

    @expose("/live")
    def live(self) -> Any:
        """Return what came `after` an id, or the next page of a search `before` one: JSON."""
        wanted, place = Filter.asked(request.args), _place()
        if wanted.problems():
            abort(400)
        with store.reading() as transaction:
            if place.newest:
                return _tagged(_further(transaction, wanted, place))
            return _tagged(_news(transaction, wanted, place.after or 0))

    @expose("/export")
    def export(self) -> Response:
        """Stream what the filter finds, newest first, as `format` says: csv or jsonl."""
        kind, wanted = request.args.get("format", "csv"), Filter.asked(request.args)
        if kind not in files.FORMATS or wanted.problems():
            abort(400)
        lines, media_type = files.FORMATS[kind]
        answer = Response(
            lines(exporting.begun(streams.slices(store.engine(), wanted, EXPORT_ROWS))),
            mimetype=None,
            content_type=media_type,
        )
        name = f"hawser-messages-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    @expose("/details/")
    def details_by_id(self) -> Any:
        return self.details_view(request.args.get("id", ""))

    @expose("/<number>/")
    def details_view(self, number: str) -> Any:
        with store.reading() as transaction:
            row = rows.one(transaction, _known(number))
            if row is None:
                abort(404)
            newer = rows.neighbour(transaction, row, newer=True)
            older = rows.neighbour(transaction, row, newer=False)
        data, is_whole = row["payload"], len(row["payload"]) >= (row["size"] or 0)
        return self.render(
            "messages/details.html",
            row=row,
            newer=newer,
            older=older,
            is_whole=is_whole,
            json=shown.pretty_json(data) if is_whole else None,
            text=shown.long_text(data, is_whole=is_whole),
            hex=shown.hex_dump(data),
            properties=shown.properties(row["properties"]),
            sha256=hashlib.sha256(data).hexdigest() if is_whole else None,
            limits=shown,
        )

    @expose("/<number>/payload")
    def payload(self, number: str) -> Response:
        """Return the payload byte for byte."""
        return _download(Message, _known(number), "message")

    @expose("/set-aside/")
    def set_aside_view(self) -> Any:
        connection = records.identifier(request.args.get("connection"))
        before = records.identifier(request.args.get("before"))
        with store.reading() as transaction:
            found = rows.set_aside(transaction, connection, before, PAGE_SIZE + 1)
        return self.render(
            "messages/set_aside.html",
            rows=found[:PAGE_SIZE],
            connection=connection,
            before=before,
            rest=found[PAGE_SIZE - 1]["id"] if len(found) > PAGE_SIZE else None,
        )

    @expose("/set-aside/<number>/payload")
    def set_aside_payload(self, number: str) -> Response:
        """Return the payload of a message that was set aside, byte for byte."""
        return _download(DeadLetter, _known(number), "set-aside")


# --- searching


def _place() -> Place:
    """Return where the address asks to look."""
    after = records.identifier(request.args.get("after"))
    if request.args.get("after") == "0":
        after = 0
    return Place(
        before=records.identifier(request.args.get("before")),
        after=after,
        newest=after is None,
        lists_topics="scan" not in request.args,
    )


def _look(transaction: Transaction, wanted: Filter, place: Place) -> Page:
    found = search.search(transaction, wanted, place, PAGE_SIZE)
    reached = None
    if found.stopped and found.rest:
        reached = search.received_about(transaction, found.rest)
    return Page(found, rows.read(transaction, found.ids), reached)


def _nothing() -> Page:
    return Page(Found(()), (), None)


def _further(transaction: Transaction, wanted: Filter, place: Place) -> dict[str, Any]:
    """Return the rows that a search finds when it goes on, and where it may go on next."""
    page = _look(transaction, wanted, place)
    return {
        "rows": render_template("messages/rows.html", page=page, wanted=wanted),
        "told": render_template("messages/told.html", page=page, wanted=wanted),
        "found": len(page.rows),
        "onward": page.onward,
        "stopped": page.found.stopped,
    }


def _news(transaction: Transaction, wanted: Filter, after: int) -> dict[str, Any]:
    """Return the newest messages above an id, and how many more there are."""
    found = search.search(transaction, wanted, Place(after=after), LIVE_COUNTED)
    page = Page(found, rows.read(transaction, found.ids[:LIVE_ROWS]), None)
    skipped = len(found.ids) - len(page.rows)
    html = render_template(
        "messages/rows.html", page=page, wanted=wanted, skipped=skipped, more=found.rest
    )
    return {"rows": html, "after": max(after, found.newest), "found": len(found.ids)}


def _tagged(body: dict[str, Any]) -> Response:
    """Return `body` as JSON, or 304 when the browser has just that."""
    response = jsonify(body)
    response.set_etag(hashlib.sha256(response.data).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def _download(table: Any, number: int, name: str) -> Response:
    with store.reading() as transaction:
        size = rows.size(transaction, table, number)
    if size is None:
        abort(404)
    answer = Response(
        exporting.begun(streams.payload(store.engine(), table, number, size)),
        mimetype="application/octet-stream",
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="hawser-{name}-{number}.bin"'
    return answer


def _known(text: str) -> int:
    """Return an id that a database can look up, else answer that there is no such page."""
    return records.identifier(text) or abort(404)
