"""The reader's time: in the zone of the browser, or in UTC if that was chosen, with its name.

A script tells the zone of the browser in a cookie (static/clock.js); before it did, and for who
has no script, times are UTC. Dates are written as in the country that the browser names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, dates
from flask import g, has_request_context, request
from flask_babel import get_locale

from webapp.wording import looks

#: The cookie with the browser's zone, and the choice between that and UTC.
ZONE, CHOICE = "zone", "clock"
LOCAL, IN_UTC = "local", "utc"
#: How sentences of the worker write a time.
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def reader_zone() -> str:
    """Return the name of the browser's zone as far as it is known, UTC without it."""
    name = looks.chosen(ZONE) or "UTC"
    return name if _zone(name) is not None else "UTC"


def zone_name() -> str:
    """Return the name of the zone that the page speaks of."""
    return "UTC" if is_in_utc() else reader_zone()


def is_in_utc() -> bool:
    """Whether the reader chose UTC."""
    return looks.chosen(CHOICE) == IN_UTC


def look() -> str:
    """Return what decides how texts and times are written, for what is kept."""
    return f"{get_locale()} {date_locale()} {zone_name()}"


def date_locale() -> str:
    """Return the locale of dates: the language of the page, in the country of the reader."""
    if not has_request_context():
        return "en_GB"
    if "date_locale" not in g:
        g.date_locale = _date_locale(str(get_locale() or "en"), request.accept_languages.values())
    return str(g.date_locale)


def here(moment: datetime) -> datetime:
    """Return a moment in the reader's zone."""
    try:
        return moment.astimezone(_here())
    except OverflowError:
        return moment.astimezone(UTC)


def read(moment: datetime) -> datetime:
    """Return a time that the reader entered, in UTC. Raises OverflowError."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=_here())).astimezone(UTC)


def full(moment: datetime) -> str:
    """Return date, time and zone: `23 Nov 2026, 09:30:05 CET`."""
    local, locale = here(moment), date_locale()
    shown = f"{_date(locale, local.date())}, {_time(locale, local.time().replace(microsecond=0))}"
    return f"{shown} {_label(local)}"


def brief(moment: datetime, *, with_zone: bool = True) -> str:
    """Return a time as it stands in titles and under pictures: `23 Nov 09:30 CET`."""
    local, locale = here(moment), date_locale()
    shown = f"{_day(locale, local.date())} {_minute(locale, time(local.hour, local.minute))}"
    return f"{shown} {_label(local)}" if with_zone else shown


def until(start: datetime, end: datetime) -> str:
    """Return the end of a stretch of time: without its date if that is the start's."""
    local = here(end)
    if local.date() != here(start).date():
        return brief(end)
    return f"{_minute(date_locale(), time(local.hour, local.minute))} {_label(local)}"


def zone_label() -> str:
    """Return what the reader's zone is called now."""
    return _label(here(datetime.now(UTC)))


def in_detail(detail: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return what fills a sentence with its time, if it has one, as the reader's."""
    at = (detail or {}).get("at")
    if detail is None or not isinstance(at, str) or not _WRITTEN.fullmatch(at):
        return detail
    moment = datetime.strptime(at, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    return {**detail, "at": full(moment)}


def _here() -> tzinfo:
    return _zone(zone_name()) or UTC


@cache
def _known_zones() -> frozenset[str]:
    import zoneinfo

    return frozenset(zoneinfo.available_timezones())


@cache
def _named_zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    return _named_zone(name) if name in _known_zones() else None


def _label(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name


def _date_locale(locale: str, accepted: Any) -> str:
    language = locale.partition("_")[0]
    for tag in accepted:
        if tag.lower().startswith(f"{language}-") and (found := _parsed(tag)):
            return found
    # Of English without a country: days before months, and hours to 24.
    return "en_GB" if language == "en" else locale


@lru_cache(200)
def _parsed(tag: str) -> str | None:
    try:
        return str(Locale.parse(tag, sep="-"))
    except (ValueError, UnknownLocaleError):
        return None


@lru_cache(5_000)
def _date(locale: str, day: date) -> str:
    return str(dates.format_date(day, "medium", locale=locale))


@lru_cache(5_000)
def _day(locale: str, day: date) -> str:
    return str(dates.format_skeleton("MMMd", datetime.combine(day, time()), locale=locale))


@lru_cache(5_000)
def _time(locale: str, moment: time) -> str:
    return str(dates.format_time(moment, "medium", locale=locale))


@lru_cache(5_000)
def _minute(locale: str, moment: time) -> str:
    return str(dates.format_time(moment, "short", locale=locale))
