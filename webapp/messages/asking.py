"""What an address asks for: connection, Topic Filter, text, time, QoS, retained or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

from flask_babel import gettext

from database.rules import check_topic_filter
from webapp.connections import records
from webapp.past.timeline import SPANS
from webapp.wording import clock, texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext

#: Bytes of a text to look for: three times as many in an address.
MAX_TEXT = 1_000
#: Moments that databases and arithmetic take without trouble.
_YEARS = range(1970, 9_000)
WRONG_TIME = lazy_gettext("Enter a time such as 2026-11-23 09:30.")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for, as it stands in the address; everything without a value."""

    connection: int | None = None
    #: Part of a connection's name.
    name: str = ""
    #: A Topic Filter.
    topic: str = ""
    #: What the payload holds, as UTF-8.
    text: str = ""
    span: str = ""
    since: str = ""
    until: str = ""
    qos: str = ""
    #: `yes` or `no`.
    retained: str = ""

    @classmethod
    def asked(cls, arguments: Mapping[str, str]) -> Self:
        """Read the filter from the arguments of an address; an unknown choice asks for nothing."""
        plain = {key: arguments.get(key, "") for key in ("topic", "text")}
        times = {key: arguments.get(key, "").strip() for key in ("since", "until")}
        return cls(
            connection=records.identifier(arguments.get("connection")),
            name=arguments.get("name", "").replace("\x00", "").strip(),
            span=_one_of(arguments.get("span", ""), SPANS),
            qos=_one_of(arguments.get("qos", ""), ("0", "1", "2")),
            retained=_one_of(arguments.get("retained", ""), ("yes", "no")),
            **plain,
            **times,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an address that asks for the same."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: value for key, value in found.items() if value}

    def problems(self) -> dict[str, str]:
        """Return a sentence for each field that cannot be used."""
        found = {
            "topic": check_topic_filter(self.topic) if self.topic else None,
            "text": _check_text(self.text),
            "since": WRONG_TIME if self.since and moment(self.since) is None else None,
            "until": WRONG_TIME if self.until and moment(self.until) is None else None,
        }
        return {field: in_words(problem) for field, problem in found.items() if problem}

    @property
    def seconds(self) -> float | None:
        """How far back the span reaches; None for everything."""
        return SPANS[self.span][1] if self.span else None

    @property
    def is_special(self) -> bool:
        """Whether one of the fields is used that are seldom needed."""
        return bool(self.since or self.until or self.qos or self.retained)


def moment(text: str) -> datetime | None:
    """Return a time as the reader writes it, in UTC; None for what is none."""
    try:
        found = clock.read(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return found if found.year in _YEARS else None


def _check_text(text: str) -> str | None:
    if len(text.encode("utf-8", "replace")) <= MAX_TEXT:
        return None
    limit = texts.number(MAX_TEXT)
    return str(gettext("Look for at most %(limit)s bytes of UTF-8.", limit=limit))


def _one_of(value: str, choices: Any) -> str:
    return value if value in choices else ""
