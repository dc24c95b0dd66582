"""The list of connections: which of them an address chooses, and how they stand by site. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from database import reasons
from database.hosts import normalized_host
from database.words import ConnectionState
from webapp.picture.overview import Item
from webapp.wording import texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext as _

#: The chips above the list: word, and which connections it selects.
CHIPS: dict[str, tuple[Any, Callable[[Item], bool]]] = {
    "all": (_("All"), lambda item: True),
    "connected": (_("Connected"), lambda item: item.enabled and item.up),
    "failing": (_("Failing"), lambda item: item.enabled and not item.up),
    "disabled": (_("Disabled"), lambda item: not item.enabled),
}
#: Where tiles lead: what an address may select beside the chips.
ATTENTION = "attention"
_OTHERS: dict[str, tuple[Any, Callable[[Item], bool]]] = {
    ATTENTION: (
        _("Needs attention"),
        lambda item: item.state not in (ConnectionState.CONNECTED, ConnectionState.DISABLED),
    ),
}
_SELECTIONS = CHIPS | _OTHERS
#: What narrows the list beside chip and search; each has to be met.
NARROWING = ("site", "state", "reason", "broker")
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
    state: str = ""
    #: A reason code.
    reason: str = ""
    #: host:port
    broker: str = ""
    search: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filter:
        """Return the filter in a query or a form; what is no chip means all."""
        show = asked.get("show", "all")
        narrowed = {name: asked.get(name, "") for name in NARROWING}
        return cls(
            show=show if show in _SELECTIONS else "all",
            search=asked.get("search", "").strip(),
            **narrowed,
        )

    @property
    def narrowed(self) -> list[tuple[str, str]]:
        """What is shown as a word of its own: (name, words), without the site."""
        words = {
            "state": texts.state_word(self.state),
            "reason": in_words(reasons.summarise(self.reason)) if self.reason else "",
            "broker": self.broker,
        }
        return [(name, words[name]) for name in NARROWING if name in words and getattr(self, name)]

    @property
    def is_any(self) -> bool:
        """Whether anything is left out."""
        return self != Filter()

    def beside_chip(self, items: Iterable[Item]) -> list[Item]:
        """Return what all but the chip selects."""
        words, broker = self.search.lower(), _broker(self.broker)
        return [
            item
            for item in items
            if (not self.site or item.site == self.site)
            and (not self.state or item.state == self.state)
            and (not self.reason or item.reason_code == self.reason)
            and (not self.broker or _broker(f"{item.host}:{item.port}") == broker)
            and (not words or words in _text(item))
        ]

    def chosen(self, items: Iterable[Item]) -> list[Item]:
        """Return what all of it selects."""
        return list(filter(_SELECTIONS[self.show][1], self.beside_chip(items)))


def _broker(text: str) -> tuple[str, str]:
    host, _colon, port = text.rpartition(":")
    return normalized_host(host), port


def _text(item: Item) -> str:
    return f"{item.name}\n{item.site}\n{item.host}\n{item.client_id}".lower()


def chips(found: Sequence[Item], show: str = "all") -> list[tuple[str, Any, int]]:
    """Return (name, word, number of `found`) of each chip, and of what `show` names instead."""
    shown = CHIPS | {name: each for name, each in _OTHERS.items() if name == show}
    return [(name, label, sum(map(chosen, found))) for name, (label, chosen) in shown.items()]


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
