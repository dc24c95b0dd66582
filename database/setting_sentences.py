"""Sentences on what a setting must be, made from its field: a new setting needs none."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from database.environment import PREFIX

_KINDS = {int: "a whole number", float: "a number"}


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong with the first bad setting, without its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    own = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return own
    name = str(first["loc"][0])
    # A field with an alias is told under that: it is a variable of its own.
    variable = f"{PREFIX}{name.upper()}" if name in model.model_fields else name
    if first["type"] == "value_error":
        return f"{variable} {own}"
    return f"{variable} must be {_expected(model.model_fields[name])}"


def _expected(field: FieldInfo) -> str:
    """Return the values that a field takes, such as `a whole number from 1 to 60`."""
    if get_origin(field.annotation) is Literal:
        *others, last = map(str, get_args(field.annotation))
        return f"{', '.join(others)} or {last}"
    kind = _KINDS.get(field.annotation, "a text")  # type: ignore[arg-type]
    return f"{kind}{_range(field.metadata)}"


def _range(limits: list[Any]) -> str:
    words = []
    for limit in limits:
        if isinstance(limit, Ge):
            words.append(f"from {limit.ge}")
        if isinstance(limit, Gt):
            words.append(f"above {limit.gt}")
        if isinstance(limit, Le):
            words.append(
                f"to {limit.le}" if "from" in "".join(words) else f"and at most {limit.le}"
            )
    return f" {' '.join(words)}" if words else ""
