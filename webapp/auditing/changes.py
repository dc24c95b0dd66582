"""What a change is told as: fields with what they were and what they are.

Secrets are never told, long values are cut, and whatever a row held can be written down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from database import pem

#: `{field: (old, new)}`.
Changes = Mapping[str, tuple[Any, Any]]
#: Fields of which only this is told: that they were set, changed or removed.
SECRETS = frozenset(
    {"password", "tls_client_key_pem", "tf_totp_secret", "mf_recovery_codes", "fs_uniquifier"}
)
SET, CHANGED, REMOVED = "set", "changed", "removed"
#: Characters of a value, items of a list and fields of a change that are told.
MOST_CHARACTERS, MOST_ITEMS, MOST_FIELDS = 500, 100, 200
#: The key of a value that was cut, and of its length.
CUT, LENGTH = "cut", "length"
SUBSCRIPTIONS = "subscriptions"


def told(changes: Changes) -> dict[str, list[Any]]:
    """Return changes as they are written down."""
    return {
        text(field): _secret(*pair) if field in SECRETS else [_seen(field, each) for each in pair]
        for field, pair in list(changes.items())[:MOST_FIELDS]
    }


def text(value: object) -> str:
    """Return text that every database takes, whatever it was."""
    if isinstance(value, bytes | memoryview):
        shown = bytes(value).decode("utf-8", "backslashreplace")
    else:
        shown = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return shown.replace("\x00", "\\x00")


def between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields of `new` that differ from those of `old`, and nothing else.

    A secret that is given counts as another one without being compared: whoever could tell
    an equal one from a different one could guess it.
    """
    pairs = {field: (_flag(old.get(field), value), value) for field, value in new.items()}
    return {field: pair for field, pair in pairs.items() if differs(field, *pair)}


def differs(field: str, old: Any, new: Any) -> bool:
    """Return whether `new` counts as a change of `field`."""
    if field in SECRETS:
        return bool(new) or old is not None
    return bool(old != new)


def of_subscriptions(
    old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[Any, Any]]:
    """Return which subscriptions differ; an empty mapping if none does."""
    before, after = (
        {item["topic_filter"]: _subscription(item) for item in items} for items in (old, new)
    )
    gone = [item for key, item in before.items() if after.get(key) != item]
    come = [item for key, item in after.items() if before.get(key) != item]
    return {SUBSCRIPTIONS: (gone, come)} if gone or come else {}


def _flag(old: Any, new: Any) -> Any:
    """Return what SQLite kept of a flag as one."""
    return bool(old) if isinstance(new, bool) and old in (0, 1) else old


def _subscription(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "topic_filter": item["topic_filter"],
        "qos": item["qos"],
        "is_enabled": bool(item.get("is_enabled", True)),
        "expected_every_s": item.get("expected_every_s") or 0,
    }


def _secret(old: Any, new: Any) -> list[Any]:
    """Return [what there was, what became of it] without the secret itself."""
    before = SET if old else None
    if not new:
        return [before, REMOVED]
    return [before, CHANGED if old else SET]


def _seen(field: str, value: Any) -> Any:
    """Return a value without what nobody may see in its field."""
    return _value(pem.shown(value) if field in pem.PUBLIC_FIELDS else value)


def _value(value: Any) -> Any:
    """Return a value as JSON takes it, cut where it is long."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        return {text(key): _value(each) for key, each in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        left = [{CUT: "", LENGTH: len(items)}] if len(items) > MOST_ITEMS else []
        return [_value(each) for each in items[:MOST_ITEMS]] + left
    shown = text(value)
    if len(shown) <= MOST_CHARACTERS:
        return shown
    return {CUT: shown[:MOST_CHARACTERS], LENGTH: len(shown)}
