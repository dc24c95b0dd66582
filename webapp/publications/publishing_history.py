"""Who published what, when, and what became of it: nothing here can be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, Select, select

from database import publications
from database.clock import database_now
from database.models import Command, ConfigVersion, Connection
from database.publications import Publication
from database.words import CommandKind, CommandState
from webapp import columns
from webapp.connections import commands
from webapp.connections.commands import Answer
from webapp.people import accounts
from webapp.publications import publishing

#: The form's last uses by one account, among which a press that came twice is looked for.
RECENT = 20
#: Ends of which nobody knows whether the broker has the message.
UNKNOWN = frozenset({"publish_unanswered", "publish_session_ended", "publish_worker_ended"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that somebody wanted published."""

    answer: Answer
    requested_at: datetime | None
    requested_by: str
    #: The name of the connection, None where nobody knows it any more.
    connection: str | None
    connection_exists: bool
    #: None if no key opens it, or it cannot be read.
    wanted: Publication | None
    stored: Mapping[str, Any]

    @property
    def word(self) -> str:
        """What became of it, in a word or two."""
        code = self.answer.code
        if not self.answer.is_final:
            return str(_("under way"))
        if self.answer.state == CommandState.DONE:
            return str(_("written") if code == "publish_written" else _("acknowledged"))
        if code in UNKNOWN:
            return str(_("not known"))
        return str(_("refused") if code.startswith("publish_refused") else _("not sent"))

    @property
    def icon(self) -> str:
        """The sign beside the word."""
        return {"good": "✓", "bad": "✕", "warn": "▲"}.get(self.answer.tone, "…")


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first."""

    entries: Sequence[Entry]
    #: Where the next page starts; None on the last.
    before: int | None


def page(transaction: Transaction, connection: int | None, before: int | None, limit: int) -> Page:
    """Return up to `limit` entries with ids below `before`."""
    query = _statement().order_by(Command.id.desc()).limit(limit + 1)
    if connection is not None:
        query = query.where(Command.connection_id == connection)
    if before is not None:
        query = query.where(Command.id < before)
    found = _entries(transaction, query)
    return Page(found[:limit], found[limit - 1].answer.id if len(found) > limit else None)


def one(transaction: Transaction, command_id: int) -> Entry | None:
    """Return one entry, None if there is none."""
    return next(iter(_entries(transaction, _statement().where(Command.id == command_id))), None)


def asked_with(transaction: Transaction, token: str) -> int | None:
    """Return the command that was asked for with the form that holds `token`, None if none was.

    Nobody else can ask meanwhile: the same press may come twice at the same moment.
    """
    transaction.execute(select(ConfigVersion.version).with_for_update())
    rows = transaction.execute(
        select(columns.raw(Command.id), columns.secret(Command.parameters))
        .where(
            Command.kind == CommandKind.PUBLISH,
            Command.requested_by == accounts.email(),
            Command.requested_at > database_now(-publishing.FORM_LASTS),
        )
        .order_by(Command.id.desc())
        .limit(RECENT)
    )
    for row in rows:
        found = publications.read(row.parameters)
        if found is None or found[1].get(publications.WITHHELD):
            continue
        if token and found[1].get("form") == token:
            return int(row.id)
    return None


def _statement() -> Select[Any]:
    return (
        commands.statement()
        .add_columns(
            columns.words(Command.requested_by),
            columns.secret(Command.parameters),
            columns.raw(Connection.name),
        )
        .outerjoin(Connection, Connection.id == Command.connection_id)
        .where(
            Command.kind == CommandKind.PUBLISH,
            Command.requested_at > database_now(-publications.KEEP_FOR.total_seconds()),
        )
    )


def _entries(transaction: Transaction, query: Select[Any]) -> list[Entry]:
    now, worker = commands.worker_of(transaction)
    return [_entry(row, commands.answer_of(row, worker, now)) for row in transaction.execute(query)]


def _entry(row: Row[Any], answer: Answer) -> Entry:
    found = publications.read(row.parameters)
    wanted, stored = found if found is not None else (None, {})
    name = row.name if row.name is not None else stored.get("connection")
    return Entry(
        answer=answer,
        requested_at=row.requested_at,
        requested_by=row.requested_by or "",
        connection=None if name is None else str(name),
        connection_exists=row.name is not None,
        wanted=wanted,
        stored=stored,
    )
