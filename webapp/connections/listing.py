"""The list of connections: which of them an address chooses, and how they stand by site. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.picture.overview import Item
from webapp.wording import texts
from webapp.wording.lazy import lazy_gettext as _

#: The chips above the list: word, and which connections it selects.
CHIPS: dict[str, tuple[Any, Callable[[Item], bool]]] = {
    "all": (_("All"), lambda item: True),
    "connected": (_("Connected"), lambda item: item.enabled and item.up),
    "failing": (_("Failing"), lambda item: item.enabled and not item.up),
    "disabled": (_("Disabled"), lambda item: not item.enabled),
}
#: How each column sorts.
SORT_KEYS: dict[str, Callable[[Item], Any]] = {
    "state": lambda item: (texts.rank(item.state), item.name.lower()),
    "name": lambda item: item.name.lower(),
    "site": lambda item: (item.site.lower(), item.name.lower()),
    "broker": lambda item: (str(item.host), str(item.port), item.client_id),
    "since": lambda item: item.changed_at.timestamp() if item.changed_at else 0.0,
}
_PIECES = re.compile(r"([^0-9]*)([0-9]{0,18})")
#: Rows that an open site shows; the site's own list has all of them.
ROWS_OF_SITE = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """What an address asks for."""

    show: str = "all"
    site: str = ""
    search: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filter:
        """Return the filter in a query or a form; what is no chip means all."""
        show = asked.get("show", "all")
        return cls(
            show if show in CHIPS else "all", asked.get("site", ""), asked.get("search", "").strip()
        )

    @property
    def is_any(self) -> bool:
        """Whether anything is left out."""
        return self != Filter()

    def beside_chip(self, items: Iterable[Item]) -> list[Item]:
        """Return what site and search select, whatever the chip."""
        words = self.search.lower()
        return [
            item
            for item in items
            if (not self.site or item.site == self.site) and (not words or words in _text(item))
        ]

    def chosen(self, items: Iterable[Item]) -> list[Item]:
        """Return what all of it selects."""
        return list(filter(CHIPS[self.show][1], self.beside_chip(items)))


def _text(item: Item) -> str:
    return f"{item.name}\n{item.site}\n{item.host}\n{item.client_id}".lower()


def chips(found: Sequence[Item]) -> list[tuple[str, Any, int]]:
    """Return (name, word, number of `found`) of each chip."""
    return [(name, label, sum(map(chosen, found))) for name, (label, chosen) in CHIPS.items()]


def ordered(items: Iterable[Item], column: str | None, descending: bool) -> list[Item]:
    """Return the rows in the order of a column, by default the worst first."""
    return sorted(items, key=SORT_KEYS[column or "state"], reverse=descending)


@dataclass(frozen=True, slots=True)
class Group:
    """The connections of one site."""

    site: str
    items: Sequence[Item]

    @property
    def key(self) -> str:
        """Names the site in a page, whatever characters it holds."""
        return hashlib.sha256(self.site.encode("utf-8", "replace")).hexdigest()[:12]

    @property
    def worst(self) -> str:
        """The state of the connection that needs a look first."""
        return min((item.state for item in self.items), key=texts.rank)

    @property
    def states(self) -> list[tuple[str, int]]:
        """How many are in each state, worst first."""
        found = Counter(item.state for item in self.items)
        return sorted(found.items(), key=lambda pair: texts.rank(pair[0]))


def by_site(items: Iterable[Item]) -> list[Group]:
    """Return the sites of `items`, those first that need a look."""
    sites: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        sites[item.site].append(item)
    groups = [Group(site, found) for site, found in sites.items()]
    return sorted(groups, key=lambda group: (texts.rank(group.worst), natural(group.site)))


def sites(items: Iterable[Item]) -> list[str]:
    """Return the names of all sites, for the filter."""
    return sorted({item.site for item in items}, key=natural)


def natural(name: str) -> list[tuple[str, int]]:
    """Return what sorts `site_2` before `site_10`."""
    return [(words, int(digits or 0)) for words, digits in _PIECES.findall(name.lower())]
