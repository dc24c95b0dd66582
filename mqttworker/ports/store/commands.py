"""Commands: read what the web asks for, write what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Select, Table, delete, insert, select, type_coerce, update
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.types import NullType

from database import encryption
from database.clock import database_now
from database.models import Command, CommandResult
from database.publications import KEEP_FOR as KEEP_PUBLISHED_FOR
from database.session import immediate
from database.words import CommandKind, CommandState
from mqttworker.ports.store.lease_check import check_lease

#: A command that waited for longer when it is first seen is not run any more, seconds.
TOO_OLD = 30.0
#: Commands and their results are forgotten after this; those to publish are the audit of
#: what was sent, and kept longer.
KEEP_FOR = timedelta(days=1)
#: Commands taken at once.
SLICE = 200
#: How far below the last command one may appear later: PostgreSQL numbers at the insert
#: and shows at the commit.
LOOK_BACK = 200

_command: Table = Command.__table__  # type: ignore[assignment]
_result: Table = CommandResult.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Order:
    """One command as it was asked for."""

    id: int
    #: None for the test of a record that was never saved.
    connection_id: int | None
    #: A `words.CommandKind`, or a word that this version does not know.
    kind: str
    #: JSON, decrypted; None if there is none, or no key opens it.
    parameters: str | None
    #: Asked for so long ago that doing it now would surprise.
    is_too_old: bool


class Commands:
    """The tables `command`, to read, and `command_result`, to write."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._seen = 0
        #: What was being accepted when the database failed: a COMMIT may have taken effect
        #: although its answer was lost, and nobody else would run these.
        self._unsure: list[Order] = []

    def accept_new(self) -> list[Order]:
        """Accept the commands that nobody has accepted, and return them.

        Costs one look at the primary key where there are none. Raises LeaseLostError.
        """
        with self._engine.connect() as transaction:
            is_idle = transaction.execute(_unanswered(self._seen).limit(1)).first() is None
        if is_idle and not self._unsure:
            return []
        with self._writer.begin() as transaction:
            orders = self._accepted(transaction)
            rows = transaction.execute(_unanswered(self._seen).limit(SLICE)).all()
            if new := [_order(row) for row in rows]:
                accepted = insert(_result).values(
                    boot_id=self._boot_id, state=CommandState.ACCEPTED, accepted_at=database_now()
                )
                transaction.execute(accepted, [{"command_id": order.id} for order in new])
            check_lease(transaction, self._boot_id)
            self._unsure = [*orders, *new]
        orders, self._unsure = self._unsure, []
        self._seen = max([self._seen, *(order.id for order in orders)])
        return orders

    def _accepted(self, transaction: Transaction) -> list[Order]:
        """Return those of the unsure orders that are accepted, by this worker."""
        if not self._unsure:
            return []
        ids = [order.id for order in self._unsure]
        ours = (_result.c.boot_id == self._boot_id) & _result.c.command_id.in_(ids)
        accepted = set(transaction.scalars(select(_result.c.command_id).where(ours)))
        return [order for order in self._unsure if order.id in accepted]

    def progress(self, command_id: int, result: dict[str, Any]) -> None:
        """Write how far a command is. Raises LeaseLostError."""
        self._update(command_id, result=result)

    def finish(self, command_id: int, result: dict[str, Any], *, worked: bool) -> None:
        """Write what became of a command. Raises LeaseLostError."""
        state = CommandState.DONE if worked else CommandState.FAILED
        self._update(command_id, result=result, state=state, finished_at=database_now())

    def prune(self) -> None:
        """Delete old results. Raises LeaseLostError."""
        old, older = (database_now(-age.total_seconds()) for age in (KEEP_FOR, KEEP_PUBLISHED_FOR))
        published = select(_command.c.id).where(_command.c.kind == CommandKind.PUBLISH)
        is_over = _result.c.command_id.not_in(published) | (_result.c.accepted_at < older)
        with self._writer.begin() as transaction:
            transaction.execute(delete(_result).where(_result.c.accepted_at < old, is_over))
            check_lease(transaction, self._boot_id)

    def _update(self, command_id: int, **values: Any) -> None:
        with self._writer.begin() as transaction:
            transaction.execute(
                update(_result)
                .where(_result.c.command_id == command_id, _result.c.boot_id == self._boot_id)
                .values(**values)
            )
            check_lease(transaction, self._boot_id)


def _unanswered(seen: int) -> Select[Any]:
    """Select what came after command `seen`, or a little before, and has no result."""
    return (
        select(
            _command.c.id,
            _command.c.connection_id,
            # As the driver gives them: no conversion can fail on bad values.
            type_coerce(_command.c.kind, NullType()).label("kind"),
            type_coerce(_command.c.parameters, NullType()).label("parameters"),
            (_command.c.requested_at < database_now(-TOO_OLD)).label("is_too_old"),
        )
        .outerjoin_from(_command, _result, _result.c.command_id == _command.c.id)
        .where(
            _command.c.id > seen - LOOK_BACK,
            _result.c.command_id.is_(None),
            _command.c.requested_at > database_now(-KEEP_FOR.total_seconds()),
        )
        .order_by(_command.c.id)
    )


def _order(row: Any) -> Order:
    return Order(
        id=row.id,
        connection_id=row.connection_id,
        kind=str(row.kind),
        parameters=_opened(row.parameters),
        is_too_old=bool(row.is_too_old),
    )


def _opened(ciphertext: object) -> str | None:
    if ciphertext is None:
        return None
    try:
        return encryption.decrypt(str(ciphertext))
    except Exception:  # noqa: BLE001 - whatever the row holds, it must not stop the others
        return None
