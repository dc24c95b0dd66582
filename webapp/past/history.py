"""What pages show of the past of connections: figures and ribbons of 24 h, 7 d and 30 d."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from math import ceil
from typing import Any

from flask import current_app
from flask_babel import gettext
from sqlalchemy import Connection as Transaction

from database import reasons
from webapp.past import marks, uptime
from webapp.past.marks import Recent
from webapp.past.uptime import Bucket, Kind, Mark, Uptime
from webapp.picture import remembered
from webapp.picture.overview import Item, Picture
from webapp.wording import clock, texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext as _

#: Heights of what lasts for a whole bucket; what is wrong stands taller, so that colour is not
#: needed. A bucket of several is filled by their shares of its time.
_HEIGHTS = {
    Kind.UP: 4.0,
    Kind.DEGRADED: 6.5,
    Kind.DOWN: 10.0,
    Kind.UNKNOWN: 1.0,
    Kind.DISABLED: 2.0,
}
#: Steps of a share; what is wrong for less than one is one high.
_STEPS = 20
_WORDS = {
    Kind.UP: _("connected"),
    Kind.DEGRADED: _("degraded"),
    Kind.DOWN: _("down"),
    Kind.DISABLED: _("disabled"),
    Kind.UNKNOWN: _("not known"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time and the buckets that its ribbon has."""

    words: Any
    width: timedelta
    number: int

    def start(self, now: datetime) -> datetime:
        """Return where the first bucket begins: on a round time, so that ribbons rarely change."""
        seconds = self.width.total_seconds()
        end = ceil(now.timestamp() / seconds) * seconds
        return datetime.fromtimestamp(end, UTC) - self.number * self.width


DAY = Span(_("24 h"), timedelta(minutes=30), 48)
SPANS = (
    DAY,
    Span(_("7 days"), timedelta(hours=3), 56),
    Span(_("30 days"), timedelta(hours=12), 60),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """Equal buckets side by side, in units of one bucket."""

    x: int
    width: int
    #: (kind, top, height) of what it is filled with, from the bottom.
    pieces: Sequence[tuple[Kind, float, float]]
    title: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The past of one connection over one span."""

    span: Span
    start: datetime
    bars: Sequence[Bar]
    uptime: Uptime

    @property
    def figure(self) -> str:
        """The uptime, or why there is none."""
        if self.uptime.percent is None:
            return str(_WORDS[Kind.DISABLED if self.uptime.disabled_s else Kind.UNKNOWN])
        return texts.percent(self.uptime.percent)

    @property
    def summary(self) -> str:
        """The ribbon in words."""
        if self.uptime.percent is None:
            return f"{self.span.words}: {self.figure}"
        failures = texts.count(self.uptime.failures, "failure")
        words = {"time": self.span.words, "share": self.figure, "failures": failures}
        return str(gettext("%(time)s: %(share)s up, %(failures)s", **words))


def day(transaction: Transaction, picture: Picture, items: Iterable[Item]) -> dict[int, Ribbon]:
    """Return the ribbon of the last day of each of `items`, by id."""
    shown = list(items)
    known: Recent = current_app.extensions.setdefault("hawser-recent-marks", Recent())
    found = known.of(transaction, [item.id for item in shown], DAY.start(picture.now))
    made = remembered.of_app("hawser-ribbons")
    language = clock.look()
    return {
        item.id: made.of(
            (item.id, language),
            _what_shows(_begun(found[item.id], item), picture),
            partial(_ribbon, _begun(found[item.id], item), DAY, picture),
        )
        for item in shown
    }


def _what_shows(found: Sequence[Mark], picture: Picture) -> tuple[object, ...]:
    """Return what decides how a day looks: not each second of it."""
    minute = picture.now.timestamp() // 60
    ends = picture.live or (picture.worker and picture.worker.beat_at)
    return len(found), found[0] if found else None, found[-1] if found else None, minute, ends


def all_spans(transaction: Transaction, picture: Picture, item: Item) -> list[Ribbon]:
    """Return the ribbons of one connection, the shortest first."""
    earliest = min(span.start(picture.now) for span in SPANS)
    found = _begun(marks.read(transaction, [item.id], earliest)[item.id], item)
    return [_ribbon(found, span, picture) for span in SPANS]


def _begun(found: Sequence[Mark], item: Item) -> Sequence[Mark]:
    """Put before `found` how the present began, where its first events are gone.

    Old events are pruned; a connection may be up for longer than events are kept.
    """
    if item.held_since is None or (found and found[0].at <= item.held_since):
        return found
    state = (found[0].previous_state if found else None) or item.held_state
    if state is None:
        return found
    return [Mark(item.held_since, state, None, "", ""), *found]


def _ribbon(found: Sequence[Mark], span: Span, picture: Picture) -> Ribbon:
    start = span.start(picture.now)
    pieces = uptime.segments(found, start, picture.now, _known_until(picture, start))
    buckets = uptime.buckets(pieces, start, span.width, span.number)
    return Ribbon(span, start, _bars(buckets), uptime.measure(pieces, found))


def _known_until(picture: Picture, start: datetime) -> datetime:
    """Return the moment after which nothing is known: the last word of a silent worker."""
    if picture.live:
        return picture.now
    return (picture.worker and picture.worker.beat_at) or start


# --- showing


def _bars(buckets: Sequence[Bucket]) -> list[Bar]:
    """Join equal neighbours: a quiet day is one bar."""
    found: list[Bar] = []
    for (filled, _reasons), same in groupby(buckets, key=_look):
        group = list(same)
        x = found[-1].x + found[-1].width if found else 0
        found.append(Bar(x, len(group), _pieces(filled), _title(group)))
    return found


def _look(bucket: Bucket) -> tuple[tuple[tuple[Kind, float], ...], tuple[str, ...]]:
    """Return what a bucket is filled with, and why."""
    if bucket.kind not in (Kind.DOWN, Kind.DEGRADED):
        return ((bucket.kind, 1.0),), bucket.reasons
    down, degraded = (
        ceil(share * _STEPS) / _STEPS for share in (bucket.share, bucket.degraded_share)
    )
    shares = (Kind.UP, 1.0 - down - degraded), (Kind.DEGRADED, degraded), (Kind.DOWN, down)
    return tuple((kind, share) for kind, share in shares if share > 0), bucket.reasons


def _pieces(filled: Iterable[tuple[Kind, float]]) -> list[tuple[Kind, float, float]]:
    found, top = [], 10.0
    for kind, share in filled:
        height = _HEIGHTS[kind] * share if kind is Kind.UP else max(1.0, _HEIGHTS[kind] * share)
        top -= height
        found.append((kind, max(0.0, top), height))
    return found


def _title(group: Sequence[Bucket]) -> str:
    first, last = group[0], group[-1]
    words = {
        "start": clock.brief(first.start, with_zone=False),
        "end": clock.until(first.start, last.end),
        "state": _WORDS[first.kind],
    }
    if first.kind is Kind.DOWN:
        words["time"] = texts.duration(sum(bucket.down_s for bucket in group))
        text = gettext("%(start)s to %(end)s: %(state)s for %(time)s", **words)
    else:
        text = gettext("%(start)s to %(end)s: %(state)s", **words)
    if first.kind in (Kind.DOWN, Kind.DEGRADED):
        whys = [in_words(reasons.summarise(code)) for code in first.reasons if code]
        text = ", ".join([str(text), *whys])
    return str(text)
