"""Reading columns that may hold anything: rows written by plain SQL must never break a page.

SQLite keeps whatever it is given, whatever the column's type says. These types hand such a
value over as it is, or as None, instead of raising.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Text, type_coerce
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType, TypeDecorator

from database import encryption

#: Stands for a secret that cannot be decrypted; no operator can have typed it.
UNREADABLE = "\x00undecryptable\x00"

#: Counts are whole numbers below this.
_MOST = 2**63


class LenientTime(TypeDecorator[datetime]):
    """A moment in UTC; None for what is none."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return moment(value)


class LenientObject(TypeDecorator[Mapping[str, Any]]):
    """A JSON object; None for what is none."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Mapping[str, Any] | None:
        if isinstance(value, str | bytes):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        return value if isinstance(value, Mapping) else None


class LenientText(TypeDecorator[str]):
    """Text; what is none is shown as far as it can be."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return None if value is None else str(value)


class LenientSecret(TypeDecorator[str]):
    """An encrypted text; UNREADABLE for one that no key opens."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return encryption.decrypt(str(value))
        except encryption.UndecryptableError:
            return UNREADABLE


def moment(value: Any) -> datetime | None:
    """Return what a driver gave for a time as an aware datetime, or None."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def count(value: Any) -> int:
    """Return what a driver gave for a count, or 0."""
    is_count = isinstance(value, int | float) and 0 < value < _MOST
    return int(value) if is_count else 0


def raw(column: Any) -> ColumnElement[Any]:
    """Return `column` as the driver gives it, under its own name."""
    return type_coerce(column, NullType()).label(column.key)


def time(column: Any) -> ColumnElement[Any]:
    """Return a time column that never raises."""
    return type_coerce(column, LenientTime()).label(column.key)


def words(column: Any) -> ColumnElement[Any]:
    """Return a text column that never holds anything but text."""
    return type_coerce(column, LenientText()).label(column.key)


def secret(column: Any) -> ColumnElement[Any]:
    """Return an encrypted column that never raises."""
    return type_coerce(column, LenientSecret()).label(column.key)


def json_object(column: Any) -> ColumnElement[Any]:
    """Return a JSON column that never raises."""
    return type_coerce(column, LenientObject()).label(column.key)
