"""What is wrong with a record: by itself, and beside the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database import rules
from database.models import Connection
from database.sentences import say
from webapp import columns
from webapp.wording import texts
from webapp.wording.language import in_words

#: What decides under which client id a record appears at which broker.
IDENTITY = ("id", "name", "site", "host", "port", "client_id")
#: Embeddings, overrides and isolates: in a list they would turn what stands beside them.
_TURNS_TEXT = re.compile("[\u202a-\u202e\u2066-\u2069]")


def by_itself(
    values: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]], hostname: str
) -> dict[str, str]:
    """Return `{field: sentence}` for what is wrong with a record and its subscriptions."""
    found = rules.problems(values, wanted, hostname=hostname)
    if not isinstance(values.get("notes"), str):
        found["notes"] = say("Enter text.")
    elif "\x00" in values["notes"]:
        found["notes"] = say("Remove the NUL characters.")
    for field in ("name", "site"):
        if field not in found and _TURNS_TEXT.search(str(values[field])):
            found[field] = say("Remove the characters that turn the direction of text.")
    for index, item in enumerate(wanted):
        if problem := rules.check_flag(item.get("is_enabled", True)):
            found[f"subscriptions[{index}].is_enabled"] = problem
    return {field: in_words(problem) for field, problem in found.items()}


def beside_others(
    transaction: Transaction,
    values: Mapping[str, Any],
    hostname: str,
    wrong: Mapping[str, str],
) -> dict[str, str]:
    """Return what clashes with other records: the name, or the client id on one broker.

    Fields that are `wrong` by themselves are not compared.
    """
    found: dict[str, str] = {}
    if "name" not in wrong and _name_taken(transaction, values):
        found["name"] = str(texts.NAME_TAKEN)
    if not wrong.keys() & set(IDENTITY):
        mine = rules.identity(values, hostname)
        if other := _same_identity(transaction, values, mine, hostname):
            found["client_id"] = texts.same_client_id(other, mine[2])
    return found


def identity(record: Mapping[str, Any], hostname: str) -> tuple[str, int, str] | None:
    """Return what no two records may share, None for a record that has no such thing."""
    try:
        return rules.identity(record, hostname)
    except (rules.TemplateError, TypeError, ValueError):
        return None


def _name_taken(transaction: Transaction, values: Mapping[str, Any]) -> bool:
    return (
        transaction.scalar(
            select(Connection.id).where(
                Connection.name == values["name"], Connection.id != (values["id"] or 0)
            )
        )
        is not None
    )


def _same_identity(
    transaction: Transaction,
    values: Mapping[str, Any],
    mine: tuple[str, int, str],
    hostname: str,
) -> str | None:
    """Return the name of another record with the identity `mine`."""
    others = transaction.execute(
        select(*(columns.raw(getattr(Connection, key)) for key in IDENTITY)).where(
            Connection.port == values["port"], Connection.id != (values["id"] or 0)
        )
    )
    for other in others:
        if identity(dict(other._mapping), hostname) == mine:
            return str(other.name)
    return None
