"""What a page asks for every few seconds: the parts of it that show states.

The answer maps element ids to HTML. Its ETag covers parts and title only, so that an unchanged
picture costs no body; how old the heartbeat is travels in a header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Response, current_app, jsonify, request
from flask_babel import gettext
from markupsafe import Markup

from database import config_version
from database.models import Connection
from webapp import store
from webapp.messages import charts, heard, traffic
from webapp.messages.charts import Sparkline
from webapp.past import history, timeline
from webapp.past.history import Ribbon
from webapp.people import accounts
from webapp.picture import newest, overview, remembered
from webapp.picture.overview import Item, Picture
from webapp.wording import clock

#: So many connections are looked up by themselves; more are taken out of the whole picture.
FEW = 3
#: Events on the details page.
LAST_EVENTS = 20
#: The cells of a list row that change.
CELLS = ("state", "reason", "since", "day", "messages")


def picture(ids: Iterable[int] | None = None) -> Picture:
    """Return the picture of all connections, or of those with `ids`.

    Whoever has just changed a record sees the change. Raises SQLAlchemyError.
    """
    wanted = None if ids is None else set(ids)
    if wanted is not None and len(wanted) <= FEW:
        chosen = Connection.id.in_(wanted)
        with store.reading() as transaction:
            return overview.read(transaction, accounts.settings_of_app(), chosen)
    with store.reading() as transaction:
        version = config_version.read(transaction)
    found = newest.of_app().picture(version)
    if wanted is None:
        return found
    return replace(found, items=[item for item in found.items if item.id in wanted])


def row_parts(found: Picture, ids: Iterable[int]) -> dict[str, Markup]:
    """Return the parts of the list rows of `ids` by element id."""
    parts = {"banner": banner(found)} | _gone(set(ids) - {item.id for item in found.items})
    days, lines = ribbons(found, found.items), sparklines(found, found.items)
    made, language = remembered.of_app("hawser-rows"), clock.look()
    for item in found.items:
        shown = {"item": item, "ribbon": days[item.id], "line": lines[item.id]}
        cells = made.of((item.id, language), tuple(shown.values()), partial(_cells, shown))
        parts.update({f"{name}-{item.id}": html for name, html in cells.items()})
    return parts


def _gone(ids: Iterable[int]) -> dict[str, Markup]:
    """Return the rows of records that were deleted after the page was made."""
    badge = Markup('<span class="badge off">{}</span>').format(gettext("(deleted)"))
    cells = {"state": badge, **dict.fromkeys(CELLS[1:], Markup())}
    return {f"{name}-{number}": html for number in ids for name, html in cells.items()}


def _cells(shown: Mapping[str, Any]) -> dict[str, Markup]:
    return render("parts/row.html", CELLS, **shown)


def detail_parts(found: Picture) -> dict[str, Markup]:
    """Return the parts of the details page by element id."""
    item = found.items[0]
    now = render("parts/details.html", ("now", "past"), item=item, spans=past(found))
    with store.reading() as transaction:
        entries = heard.read(transaction, item.id)
        events = timeline.latest(transaction, item.id, LAST_EVENTS)
    by_filter = render("parts/traffic.html", ("heard",), item=item, entries=entries)
    return {
        "banner": banner(found),
        **now,
        **carried(found, item.id, "carried", item),
        **by_filter,
        **render("parts/facts.html", ("latest",), item=item, events=events),
    }


def ribbons(found: Picture, items: Iterable[Item]) -> dict[int, Ribbon]:
    """Return the last day of each of `items`: of those that are shown, no more."""
    with store.reading() as transaction:
        return history.day(transaction, found, items)


def sparklines(found: Picture, items: Iterable[Item]) -> dict[int, Sparkline | None]:
    """Return what came to each of `items` in the last hour."""
    with store.reading() as transaction:
        ids = [item.id for item in items]
        series = traffic.read(transaction, ids, traffic.HOUR, found.now, charts.IN_A_LINE)
    return {number: charts.sparkline(each) for number, each in series.items()}


def carried(
    found: Picture, connection_id: int, name: str, item: Item | None = None
) -> dict[str, Markup]:
    """Return the part that shows the messages of one connection, or of all together."""
    with store.reading() as transaction:
        hour, day = (
            traffic.read(transaction, [connection_id], span, found.now)[connection_id]
            for span in (traffic.HOUR, traffic.DAY)
        )
    return render(
        "parts/traffic.html",
        (name,),
        item=item,
        windows=traffic.windows(hour, day),
        charts=[charts.chart(hour), charts.chart(day)],
    )


def past(found: Picture) -> list[Ribbon]:
    """Return the ribbons of the one connection of `found`."""
    with store.reading() as transaction:
        return history.all_spans(transaction, found, found.items[0])


def answer(found: Picture, parts: Mapping[str, str]) -> Response:
    """Return `parts` as JSON, or 304 when the browser has just these."""
    mark = title(found)
    shown = (mark, *(f"{k}\0{v}" for k, v in parts.items()))
    digest = hashlib.sha256("\0".join(shown).encode())
    response = jsonify(parts=parts, title=mark)
    response.set_etag(digest.hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Hawser-Picture-Age"] = f"{newest.age(found):.1f}"
    if found.worker and found.worker.beat_at:
        response.headers["Hawser-Heartbeat-Age"] = f"{found.worker.age_s:.1f}"
    response.make_conditional(request)
    return response


def banner(found: Picture) -> Markup:
    """Return the warning that the states are not known, empty while they are."""
    return render("parts/dashboard.html", ("banner",), picture=found)["banner"]


def title(found: Picture) -> str:
    """Return the mark before the page's title: how many connections need a look."""
    if not found.live:
        return "? "
    failing = sum(1 for item in found.enabled if not item.up and not found.within_grace(item))
    return f"({failing}) " if failing else ""


def render(template: str, names: Iterable[str], **values: Any) -> dict[str, Markup]:
    """Return what each macro of `template` that is named makes of `values`."""
    module = current_app.jinja_env.get_template(template).make_module(values)
    return {name: Markup(getattr(module, name)()) for name in names}  # noqa: S704 - escaped inside
