"""Which connection is meant: by its id, its name or a part of it that no other has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy import Select, func, select

from database.models import Connection
from webapp import columns
from webapp.connections import records
from webapp.wording import texts

#: Up to so many are offered as they are; more are looked for.
OFFERED = 100
#: Names that a search answers with.
FOUND = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """A connection that the worker runs."""

    number: int
    name: str


class UnclearError(Exception):
    """No connection, or more than one, is meant; the message is a sentence for people."""


def offered(transaction: Transaction) -> list[Chosen] | None:
    """Return all that can be chosen, None if they are too many for a page."""
    found = _all(transaction, _enabled().limit(OFFERED + 1))
    return None if len(found) > OFFERED else found


def search(transaction: Transaction, text: str) -> list[Chosen]:
    """Return the first connections with `text` in their names."""
    return _all(transaction, _holding(text).limit(FOUND))


def one(transaction: Transaction, text: str) -> Chosen:
    """Return the connection that `text` means. Raises UnclearError."""
    wanted = text.replace("\x00", "").strip()
    number = records.identifier(wanted)
    by_id = _all(transaction, _enabled().where(Connection.id == number)) if number else []
    by_name = _all(transaction, _enabled().where(Connection.name == wanted))
    if by_id and by_name and by_id != by_name:
        raise UnclearError(
            _(
                "“%(text)s” is the id of “%(name)s” and the name of another connection: "
                "rename that one.",
                text=wanted,
                name=by_id[0].name,
            )
        )
    return (by_id or by_name or [_only(transaction, wanted)])[0]


def _only(transaction: Transaction, text: str) -> Chosen:
    found = _all(transaction, _holding(text).limit(FOUND)) if text else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnclearError(_("Choose a connection that is enabled."))
    names = texts.named([each.name for each in found])
    raise UnclearError(
        _("Several connections match: %(names)s. Write the whole name.", names=names)
    )


def _enabled() -> Select[Any]:
    query = select(Connection.id, columns.words(Connection.name)).where(Connection.is_enabled)
    return query.order_by(func.lower(Connection.name))


def _holding(text: str) -> Select[Any]:
    return _enabled().where(Connection.name.icontains(text.replace("\x00", ""), autoescape=True))


def _all(transaction: Transaction, query: Select[Any]) -> list[Chosen]:
    return [Chosen(row.id, str(row.name)) for row in transaction.execute(query)]
