"""Store received messages: all of a batch or none of it, and each batch once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Table, insert
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.exc import DataError, IntegrityError

from database import sqlite_guard
from database.models import DeadLetter, IntakeMark
from database.session import immediate
from mqttworker.core.letters import Letter
from mqttworker.ports.store import unreleased
from mqttworker.ports.store.copying import BadRowError, insert_letters
from mqttworker.ports.store.lease_check import check_lease
from mqttworker.ports.store.marks import claim
from mqttworker.ports.store.unreleased import ReleaseLog

_dead: Table = DeadLetter.__table__  # type: ignore[assignment]
_mark: Table = IntakeMark.__table__  # type: ignore[assignment]

#: A letter that was set aside, by its place in the batch, and why.
SetAside = dict[int, str]


class Messages:
    """The table `message`, and `dead_letter` for what that does not take."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id

    def write(
        self, number: int, letters: Sequence[Letter], releases: ReleaseLog | None = None
    ) -> SetAside:
        """Store batch `number`, which grows by one a batch; return what had to be set aside.

        With it goes what it changes of the messages that are not released.

        May be called again when it failed: a batch whose COMMIT took effect although nobody
        heard of it is not stored twice. Raises SQLAlchemyError, LeaseLostError.
        """
        aside = {at: item.message.flaw for at, item in enumerate(letters) if item.message.flaw}
        places = [at for at in range(len(letters)) if at not in aside]
        with self._writer.connect() as connection, connection.begin() as transaction:
            self._insert(connection, letters, places, aside)
            if aside:
                rows = [_dead_row(letters[at], why) for at, why in aside.items()]
                connection.execute(insert(_dead), rows)
            if releases:
                releases.write(connection)
            # Last: whoever waits for a slow table must not keep the lease from being renewed.
            check_lease(connection, self._boot_id)
            if not claim(connection, _mark, {"boot_id": self._boot_id}, number):
                transaction.rollback()
                aside = {}
            else:
                transaction.commit()
            # Nobody may be told that something is stored which went into a file that is gone.
            sqlite_guard.require_same_file(connection)
        return aside

    def unreleased(self, connection_id: int) -> dict[int, int]:
        """Return the digests of a connection's unreleased messages, by Packet Identifier."""
        return unreleased.read(self._engine, connection_id)

    def _insert(
        self,
        transaction: Transaction,
        letters: Sequence[Letter],
        places: Sequence[int],
        aside: SetAside,
    ) -> None:
        """Insert the letters at `places`; halve what does not go until the bad rows are found."""
        if not places:
            return
        try:
            with transaction.begin_nested():
                insert_letters(transaction, [letters[at] for at in places])
        except (BadRowError, DataError, IntegrityError, UnicodeError, OverflowError) as error:
            if len(places) == 1:
                aside[places[0]] = _in_words(error)
                return
            middle = len(places) // 2
            self._insert(transaction, letters, places[:middle], aside)
            self._insert(transaction, letters, places[middle:], aside)


def _dead_row(letter: Letter, problem: str) -> dict[str, Any]:
    message = letter.message
    return {
        "connection_id": letter.connection_id,
        "received_at": letter.received_at,
        "topic": message.topic.encode("utf-8", "surrogateescape"),
        "payload": message.payload,
        "qos": message.qos,
        "retain": message.retain,
        "dup": message.dup,
        "problem": problem,
    }


def _in_words(error: Exception) -> str:
    """Return what is wrong with a row, without what it holds."""
    said = getattr(error, "orig", None) or error
    return f"The database does not take it ({said})."
