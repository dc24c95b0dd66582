"""What dashboard and wall show: put together once a picture, for all who look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from database.words import ALL_CONNECTIONS, ConnectionState
from webapp import certificates
from webapp.connections import listing
from webapp.connections.listing import Group
from webapp.people import accounts
from webapp.picture import database_facts, fleet, headline, live, newest, remembered
from webapp.picture.fleet import Outage
from webapp.picture.headline import Headline
from webapp.picture.overview import Item, Picture
from webapp.wording import clock, texts

#: Connections in the table, and sites above it, at most; on the wall there is room for others.
WORST, SITES = 50, 12
WALL_SITES, WALL_FAILING = 60, 10
#: Seconds for which figures of the past are good enough where there are thousands.
GOOD_FOR = 5.0
#: States in which nobody needs to look at a site.
FINE = frozenset({ConnectionState.CONNECTED, ConnectionState.DISABLED})
PARTS = ("banner", "verdict", "counts", "sites", "fleet", "worst", "worker")
WALL_PARTS = ("wall_verdict", "wall_counts", "wall_sites", "wall_failing")


@dataclass(frozen=True, slots=True)
class Board:
    """A picture, seen by somebody who wants to know where to look first."""

    picture: Picture
    headline: Headline
    #: Outages that last for longer than the grace.
    outages: Sequence[Outage]
    #: How many connections no outage tells of, and the worst of them.
    others: int
    worst: Sequence[Item]
    #: All sites, those first that need a look.
    sites: Sequence[Group]

    @property
    def troubled(self) -> list[Group]:
        """The sites that need a look."""
        return [group for group in self.sites if group.worst not in FINE]

    @property
    def failing(self) -> list[Item]:
        """What is down for longer than the grace, or does not fully work, worst first."""
        found = [item for item in self.picture.enabled if self._fails(item)]
        return sorted(found, key=lambda item: (texts.rank(item.state), item.name.lower()))

    def _fails(self, item: Item) -> bool:
        if item.up:
            return item.state != ConnectionState.CONNECTED
        return not self.picture.within_grace(item)


def of(found: Picture) -> Board:
    """Return what is to be seen of a picture."""
    made = remembered.of_app("hawser-boards", 20)
    board: Board = made.of(clock.look(), (id(found), found.now), partial(_board, found))
    return board


def _board(found: Picture) -> Board:
    outages = [
        outage
        for outage in fleet.outages(found.items)
        if not all(map(found.within_grace, outage.items))
    ]
    told = {item.id for outage in outages for item in outage.items}
    others = [item for item in found.items if item.id not in told]
    expiring = certificates.watch().expiring(found)
    percent = accounts.settings_of_app().red_above_percent
    judged = headline.judge(found, outages, expiring, percent)
    sites = listing.by_site(found.items)
    return Board(found, judged, outages, len(others), worst(others), sites)


def worst(items: Iterable[Item]) -> list[Item]:
    """Return the connections that need a look first, worst first; disabled ones last."""
    return sorted(items, key=lambda item: (texts.rank(item.state), item.name.lower()))[:WORST]


def parts(found: Picture) -> dict[str, Markup]:
    """Return the dashboard's parts by element id."""
    made, board = remembered.of_app("hawser-dashboards", 20), of(found)
    editor = accounts.may_edit()
    key = ("dashboard", clock.look(), editor)
    return made.of(key, (id(found), found.now), partial(_parts, board, editor))


def _parts(board: Board, editor: bool) -> dict[str, Markup]:
    ribbons = live.ribbons(board.picture, board.worst)
    shown = live.render(
        "parts/dashboard.html",
        PARTS,
        board=board,
        picture=board.picture,
        headline=board.headline,
        ribbons=ribbons,
        row=partial(_row, ribbons),
        limit=WORST,
        most_sites=SITES,
        order=texts.WORST_FIRST,
        editor=editor,
        database=database_facts.of_app(),
    )
    return shown | _rates(board.picture)


def _row(ribbons: dict[int, Any], item: Item) -> Markup:
    """Return a row of the table; most look as they did."""
    ribbon = ribbons[item.id]
    made = remembered.of_app("hawser-worst")
    render = partial(live.render, "parts/worst.html", ("row",), item=item, ribbon=ribbon)
    cells: dict[str, Markup] = made.of((item.id, clock.look()), (item, ribbon), render)
    return cells["row"]


def _rates(found: Picture) -> dict[str, Markup]:
    make = partial(live.carried, found, ALL_CONNECTIONS, "rates")
    if len(found.items) <= newest.FEW:
        return make()
    made = remembered.of_app("hawser-rates", 20)
    return made.of(clock.look(), (found.now.timestamp() // GOOD_FOR,), make)


def wall_parts(found: Picture) -> dict[str, Markup]:
    """Return the parts of the wall view by element id."""
    made, board = remembered.of_app("hawser-dashboards", 20), of(found)
    key = ("wall", clock.look())
    return made.of(key, (id(found), found.now), partial(_wall_parts, board))


def _wall_parts(board: Board) -> dict[str, Markup]:
    return live.render(
        "parts/wall.html",
        WALL_PARTS,
        board=board,
        picture=board.picture,
        headline=board.headline,
        most_sites=WALL_SITES,
        most_failing=WALL_FAILING,
        order=texts.WORST_FIRST,
    )
