"""What the list of connections shows, and what its poll asks for every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, request, url_for
from flask_admin import expose
from markupsafe import Markup

from database.words import ConnectionState as S
from webapp import first_run
from webapp.connections import listed, listing, records, selection
from webapp.connections.listing import Filter, Group
from webapp.picture import live
from webapp.picture.overview import Item, Picture

#: On its way: the page looks again sooner.
UNDER_WAY = frozenset({S.PENDING, S.CONNECTING, S.STOPPING})
#: Rows that one poll may ask about, and sites that a page may hold open: no row may stay as
#: it was while the page says that it is fresh.
MOST_ROWS = 400
MOST_OPEN = MOST_ROWS // listing.ROWS_OF_SITE
#: What the links of a page keep of its address.
_KEPT = ("show", *listing.NARROWING, "search", "group", "sort", "desc", "page_size")


@dataclass
class Shown:
    """One page of the list."""

    picture: Picture
    filter: Filter
    #: What site and search select, whatever the chip.
    found: Sequence[Item]
    #: The rows of this page, those of open groups included.
    rows: Sequence[Item]
    #: The sites of this page; None where the list is not grouped.
    groups: Sequence[Group] | None
    open: Sequence[str]
    #: Connections that the filter selects, on all pages.
    chosen: Sequence[Item]

    @property
    def number(self) -> int:
        return len(self.chosen)

    @property
    def matched(self) -> str:
        """Return what "all that match" means on this page."""
        return selection.pack(item.id for item in self.chosen)

    @property
    def chips(self) -> list[tuple[str, Any, int]]:
        return listing.chips(self.found, self.filter.show)

    @property
    def sites(self) -> list[str]:
        return listing.sites(self.picture.items)

    @property
    def is_under_way(self) -> bool:
        """Whether something on the page is about to change."""
        return any(is_under_way(item) for item in self.rows)

    def rows_of(self, group: Group) -> Sequence[Item]:
        """Return the rows that an open group shows."""
        return group.items[: listing.ROWS_OF_SITE] if group.site in self.open else ()


def is_under_way(item: Item) -> bool:
    """Whether a connection is about to change its state."""
    return item.state in UNDER_WAY or (item.enabled and not item.applied)


class ListPages:
    """The part of the connections' view that lists them."""

    page_size: int

    @staticmethod
    def address(endpoint: str = "connections.index_view", **changes: Any) -> str:
        """Return the address of the list with differences; None leaves a part out."""
        kept = {name: request.args[name] for name in _KEPT if request.args.get(name)}
        values: dict[str, Any] = {**kept, "open": opened(), **changes}
        return url_for(endpoint, **{name: value for name, value in values.items() if value})

    #: Makes one row, or takes the one that looked the same a moment ago.
    row = staticmethod(listed.row)

    @classmethod
    def toggled(cls, site: str) -> str:
        """Return the address of this page with the rows of a site shown, or put away."""
        now = opened()
        after = [name for name in now if name != site] if site in now else [*now, site]
        return cls.address(open=after, page=request.args.get("page"))

    def get_list(
        self,
        page: int,
        sort_column: str | None,
        sort_desc: bool,
        search: str | None,
        filters: Any,
        execute: bool = True,
        page_size: int | None = None,
    ) -> tuple[int, Sequence[Any]]:
        """Return how many rows or sites there are, and those of one page."""
        picture, asked = live.picture(), Filter.of(request.args)
        found = asked.beside_chip(picture.items)
        chosen = listing.ordered(asked.chosen(found), sort_column, bool(sort_desc))
        size = page_size or self.page_size
        part = slice(max(page, 0) * size, (max(page, 0) + 1) * size)
        g.shown = shown = Shown(picture, asked, found, chosen[part], None, opened(), chosen)
        number = len(chosen)
        if is_grouped():
            groups = listing.by_site(chosen)
            shown.groups, number = groups[part], len(groups)
            shown.rows = [item for group in shown.groups for item in shown.rows_of(group)]
        g.banner = live.banner(picture)
        g.days, g.lines = (
            live.ribbons(picture, shown.rows),
            live.sparklines(picture, shown.rows),
        )
        g.first_run = first_run.wanted(picture.items)
        return number, shown.rows

    @expose("/live")
    def live_view(self) -> Any:
        """Return the changing parts of a page of the list: JSON."""
        asked = request.args.get("ids", "").split(",")[:MOST_ROWS]
        ids = [number for number in map(records.identifier, asked) if number]
        whole = live.picture()
        parts = live.row_parts(live.picture(ids), ids)
        asked_for = Filter.of(request.args)
        found = asked_for.beside_chip(whole.items)
        parts["chips"] = _macro("chips", listing.chips(found, asked_for.show), request.args)
        if is_grouped():
            shown = set(request.args.get("sites", "").split(",")[:MOST_ROWS])
            for group in listing.by_site(asked_for.chosen(found)):
                if group.key in shown:
                    parts[f"site-{group.key}"] = _macro("site_state", group)
        return live.answer(whole, parts)


def _macro(name: str, *values: Any) -> Markup:
    module = current_app.jinja_env.get_template("connections/parts.html").module
    return Markup(getattr(module, name)(*values))  # noqa: S704 - escaped inside


def is_grouped() -> bool:
    """Whether the address asks for groups by site."""
    return request.args.get("group") == "site"


def opened() -> list[str]:
    """Return the sites whose rows the address asks for, those opened last."""
    return request.args.getlist("open")[-MOST_OPEN:]
