"""The headline of dashboard and wall: a colour and a few short lines, each with its page.

Only what pages show: the status of the health contract is `verdict`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from flask_babel import gettext as _
from flask_babel import ngettext

from database.words import ConnectionState
from webapp import certificates
from webapp.certificates import Held
from webapp.picture import verdict
from webapp.picture.fleet import Outage
from webapp.picture.overview import Item, Picture
from webapp.wording import texts

Tone = Literal["good", "warn", "bad"]
#: Time for which too large a share is down before the headline turns red.
FOR_LONG = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One short sentence and the page that shows what it counts."""

    text: str
    endpoint: str = "connections.index_view"
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """How the whole stands, for people."""

    tone: Tone
    lines: Sequence[Line]


def judge(
    picture: Picture, outages: Sequence[Outage], expiring: Sequence[Held], percent: int
) -> Headline:
    """Return the headline of `picture`; red if more than `percent` of it are down for long."""
    if not picture.live:
        line = Line(verdict.worker_sentence(picture.worker), "workers.index_view")
        return Headline("bad", [line])
    enabled = picture.enabled
    if not enabled:
        return Headline("good", [Line(str(_("No connection is enabled.")))])
    down = [item for item in enabled if not item.up]
    late = [item for item in down if not picture.within_grace(item)]
    lines = [*_of_connections(picture, down, late), *_of_certificates(picture, expiring)]
    if not lines:
        fine = Line(verdict.fine(len(enabled), len(down)), arguments={"show": "connected"})
        return Headline("good", [fine])
    is_bad = outages or _is_much(picture, late, percent) or _is_a_whole_site(picture, late)
    return Headline("bad" if is_bad else "warn", lines)


def _of_connections(picture: Picture, down: Sequence[Item], late: Sequence[Item]) -> list[Line]:
    lines = []
    if late:
        text = ngettext(
            "%(number)s of %(all)s is down.",
            "%(number)s of %(all)s are down.",
            len(down),
            number=texts.number(len(down)),
            all=texts.count(len(picture.enabled), "connection"),
        )
        lines.append(Line(str(text), arguments={"show": "failing"}))
    degraded = [item for item in picture.enabled if item.state == ConnectionState.DEGRADED]
    if degraded:
        text = ngettext(
            "%(number)s connection has a problem.",
            "%(number)s connections have problems.",
            len(degraded),
            number=texts.number(len(degraded)),
        )
        lines.append(Line(str(text), arguments={"state": ConnectionState.DEGRADED.value}))
    return lines


def _of_certificates(picture: Picture, expiring: Sequence[Held]) -> list[Line]:
    """Return a line that counts each certificate once, however many connections meet it."""
    found = certificates.groups(expiring)
    if not found:
        return []
    expires = found[0].certificate.expires
    assert expires is not None
    text = ngettext(
        "%(number)s certificate needs renewal (%(connections)s): %(when)s.",
        "%(number)s certificates need renewal (%(connections)s), the first: %(when)s.",
        len(found),
        number=texts.number(len(found)),
        connections=texts.count(len({held.connection_id for held in expiring}), "connection"),
        when=texts.expiry((expires - picture.now).total_seconds()),
    )
    return [Line(str(text), "certificates.index_view")]


def _is_much(picture: Picture, late: Sequence[Item], percent: int) -> bool:
    """Whether all are down, or more than one, and more than `percent`, are for long."""
    if len(late) == len(picture.enabled):
        return True
    long = [item for item in late if _is_down_for_long(picture, item)]
    return len(long) > 1 and 100 * len(long) > percent * len(picture.enabled)


def _is_down_for_long(picture: Picture, item: Item) -> bool:
    return item.changed_at is None or picture.now - item.changed_at >= FOR_LONG


def _is_a_whole_site(picture: Picture, late: Sequence[Item]) -> bool:
    """Whether a site of several connections has none that is up."""
    enabled: dict[str, int] = defaultdict(int)
    down: dict[Any, int] = defaultdict(int)
    for item in picture.enabled:
        enabled[item.site] += 1
    for item in late:
        down[item.site] += 1
    return any(number > 1 and number == enabled[site] for site, number in down.items())
