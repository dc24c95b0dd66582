"""Rates as pictures: bars and sparklines as shapes for an SVG, drawn without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from webapp.messages.traffic import Counts, Series
from webapp.wording import texts

#: Height of a chart, and the least height of what is not nothing.
HEIGHT, LEAST = 40.0, 0.8
#: What is read for a line.
IN_A_LINE = ("messages_in", "messages_dropped")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bucket: what came, what of it was dropped, on top, and what was published."""

    x: int
    came: float
    dropped: float
    out: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The messages of one span, in units of one bucket."""

    words: Any
    number: int
    start: datetime
    #: What the highest bar stands for, in words.
    top: str
    bars: Sequence[Bar]

    @property
    def summary(self) -> str:
        """The chart in words."""
        if not self.bars:
            return str(_("%(time)s: no messages", time=self.words))
        return str(_("%(time)s: messages, at most %(top)s", time=self.words, top=self.top))


def chart(series: Series) -> Chart:
    """Return the chart of a series; buckets without messages have no bar."""
    span, whole = series.span, series.whole
    top = max(max(each.messages_in + each.messages_dropped, each.messages_out) for each in whole)
    bars = [_bar(series, place, each, top) for place, each in enumerate(whole) if each]
    return Chart(span.words, span.number, series.start(0), texts.rate(top, span.seconds), bars)


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What came over one span, dropped or not: an SVG path, ten units high."""

    path: str
    #: The last point of it.
    width: int
    now: str
    dropped: int
    summary: str


def sparkline(series: Series) -> Sparkline | None:
    """Return the line of what came, None if nothing did."""
    seconds = series.span.seconds
    came = [each.messages_in + each.messages_dropped for each in series.whole]
    top = max(came)
    if not top:
        return None
    # Less than half a message is what rounding left of the minute before.
    now = texts.rate(came[-1], seconds) if came[-1] >= 0.5 else str(_("none"))
    points = [f"{place} {10 - 9 * number / top:.1f}" for place, number in enumerate(came)]
    summary = str(
        _(
            "%(time)s: messages, at most %(top)s, now %(now)s",
            time=series.span.words,
            top=texts.rate(top, seconds),
            now=now,
        )
    )
    dropped = round(series.window(series.span.number).messages_dropped)
    return Sparkline("M" + "L".join(points), len(came) - 1, now, dropped, summary)


def _bar(series: Series, place: int, counts: Counts, top: float) -> Bar:
    return Bar(
        place,
        came=_height(counts.messages_in, top),
        dropped=_height(counts.messages_dropped, top),
        out=_height(counts.messages_out, top),
        title=_title(series.start(place), counts),
    )


def _height(number: float, top: float) -> float:
    # What is there is seen, however little it is.
    return max(LEAST, HEIGHT * number / top) if number and top else 0.0


def _title(start: datetime, counts: Counts) -> str:
    came = texts.number(counts.messages_in)
    parts = [_("%(number)s in (%(size)s)", number=came, size=texts.size(counts.bytes_in))]
    if counts.messages_out:
        parts.append(_("%(messages)s out", messages=texts.number(counts.messages_out)))
    if counts.messages_dropped:
        parts.append(_("%(number)s dropped", number=texts.number(counts.messages_dropped)))
    return f"{texts.moment(start)}: {', '.join(parts)}"
