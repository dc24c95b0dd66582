"""Values of a file as the columns take them, where other tools wrote numbers and flags as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, Integer, Table
from sqlalchemy.types import TypeEngine

_WHOLE = re.compile(r"\s*-?[0-9]{1,18}\s*")
_FLAGS = {"true": True, "false": False}


def typed(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with "8883" and "true" as number and flag; what is not certain stays."""
    return {
        key: _typed(table.columns[key].type, value) if key in table.columns else value
        for key, value in values.items()
    }


def _typed(kind: TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, Integer) and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(kind, Boolean) and isinstance(value, str):
        return _FLAGS.get(value.strip().lower(), value)
    return value
