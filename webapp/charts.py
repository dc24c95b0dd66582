"""Rates as pictures: bars and sparklines as shapes for an SVG, drawn without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp import texts
from webapp.traffic import Counts, Series

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

    words: str
    number: int
    start: datetime
    #: The highest rate, which is as high as the chart.
    top: float
    bars: Sequence[Bar]

    @property
    def summary(self) -> str:
        """The chart in words."""
        if not self.bars:
            return f"{self.words}: no messages"
        return f"{self.words}: messages, at most {texts.rate(self.top)}"


def chart(series: Series) -> Chart:
    """Return the chart of a series; buckets without messages have no bar."""
    rates = series.rates
    top = max(max(each.messages_in + each.messages_dropped, each.messages_out) for each in rates)
    bars = [_bar(series, place, each, top) for place, each in enumerate(rates) if each]
    return Chart(series.span.words, series.span.number, series.start(0), top, bars)


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
    buckets = (*series.buckets[1:-1], series.window(1))
    rates = [(each.messages_in + each.messages_dropped) / seconds for each in buckets]
    top = max(rates)
    if not top:
        return None
    # Less than half a message is what rounding left of the minute before.
    now = texts.rate(rates[-1]) if rates[-1] * seconds >= 0.5 else "none"
    points = [f"{place} {10 - 9 * rate / top:.1f}" for place, rate in enumerate(rates)]
    summary = f"{series.span.words}: messages, at most {texts.rate(top)}, now {now}"
    dropped = round(series.window(series.span.number).messages_dropped)
    return Sparkline("M" + "L".join(points), len(rates) - 1, now, dropped, summary)


def _bar(series: Series, place: int, rate: Counts, top: float) -> Bar:
    return Bar(
        place,
        came=_height(rate.messages_in, top),
        dropped=_height(rate.messages_dropped, top),
        out=_height(rate.messages_out, top),
        title=_title(series.start(place), rate),
    )


def _height(rate: float, top: float) -> float:
    # What is there is seen, however little it is.
    return max(LEAST, HEIGHT * rate / top) if rate and top else 0.0


def _title(start: datetime, rate: Counts) -> str:
    parts = [
        f"{texts.rate(rate.messages_in)} in ({texts.size(rate.bytes_in)}/s)",
        f"{texts.rate(rate.messages_out)} out" if rate.messages_out else "",
        f"{texts.rate(rate.messages_dropped)} dropped" if rate.messages_dropped else "",
    ]
    return f"{start:%d %b %H:%M} UTC: {', '.join(filter(None, parts))}"
