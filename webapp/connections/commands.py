"""Commands: ask the worker to do something once, and read what became of it.

The request is a wish, what the worker writes about it a fact; the words are built here,
from both and from whether the worker that took it still lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, Select, delete, insert, select, update

from database import outcomes, publications
from database.clock import database_now
from database.models import Command, CommandResult
from database.session import immediate
from database.words import CommandKind, CommandState
from webapp import columns, store
from webapp.auditing import audit
from webapp.auditing.audit import Subject
from webapp.auditing.changes import Changes
from webapp.connections import probing, records
from webapp.people import accounts
from webapp.picture import overview, workers
from webapp.picture.workers import Worker
from webapp.wording.language import in_words

#: A command that is not accepted by then is told to be late, seconds.
LATE_AFTER = 5.0
#: The worker runs none that waited for longer; a little on top for its answer, seconds.
LOST_AFTER = 35.0
#: What a command was given, a test's secrets among it, is forgotten after this; the rest of
#: it after that. Seconds.
FORGET_PARAMETERS_AFTER, KEEP_FOR = 60.0, 24 * 3600.0


class NobodyToAskError(Exception):
    """No worker runs; holds the reason and what fills its sentence."""

    def __init__(self, code: str, detail: Mapping[str, Any]) -> None:
        super().__init__(code)
        self.sentence = in_words(outcomes.explain(code, detail))
        self.next_step = in_words(outcomes.next_step(code, detail))


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about a command."""

    id: int
    connection_id: int | None
    kind: str
    #: asked, accepted, done or failed.
    state: str
    code: str
    detail: Mapping[str, Any]
    #: Whether nothing more will come.
    is_final: bool
    result: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        return in_words(outcomes.explain(self.code, self.detail))

    @property
    def next_step(self) -> str:
        return in_words(outcomes.next_step(self.code, self.detail))

    @property
    def tone(self) -> str:
        """The colour family: good, warn, bad or off."""
        if self.state == CommandState.DONE:
            return "warn" if self.result.get("verdict") == "warning" else "good"
        if self.state == CommandState.FAILED:
            return "bad"
        return "warn" if self.code == "not_taken" else "off"


def ask(
    kind: CommandKind,
    ids: Iterable[int | None],
    parameters: str | None = None,
    asked_before: Callable[[Transaction], int | None] = lambda _transaction: None,
    told: Changes = MappingProxyType({}),
) -> list[int]:
    """Ask for one command for each connection that exists; return the ids of the commands.

    Asks for nothing if `asked_before` returns a command. The audit log tells what is `told`,
    never the parameters. Raises NobodyToAskError.
    """
    with immediate(store.engine()).begin() as transaction:
        if (earlier := asked_before(transaction)) is not None:
            return [earlier]
        _, worker = worker_of(transaction)
        if worker is None or not worker.active:
            raise NobodyToAskError(*overview.silence(worker))
        _forget_old(transaction)
        return _insert(transaction, kind, list(ids), parameters, told)


def withhold(kind: CommandKind, number: int | None, parameters: str, told: Changes) -> None:
    """Keep for the history what could not be asked; `parameters` say that it is withheld."""
    with immediate(store.engine()).begin() as transaction:
        _insert(transaction, kind, [number], parameters, {**told, "sent": (None, False)})


def read(command_id: int) -> Answer | None:
    """Return what is known about a command, None if there is none."""
    with store.reading() as transaction:
        now, worker = worker_of(transaction)
        row = transaction.execute(statement().where(Command.id == command_id)).first()
    if row is None:
        return None
    answer = answer_of(row, worker, now)
    if answer.is_final and row.has_parameters and answer.kind != CommandKind.PUBLISH:
        _forget_parameters(command_id)
    return answer


def _forget_parameters(command_id: int) -> None:
    """Forget what a command was given, the secrets of a test among it: nobody needs it now."""
    with immediate(store.engine()).begin() as transaction:
        transaction.execute(update(Command).where(Command.id == command_id).values(parameters=None))


def worker_of(transaction: Transaction) -> tuple[datetime, Worker | None]:
    """Return the database's time and the worker that counts."""
    now, found = workers.read(transaction, accounts.settings_of_app())
    return now, workers.choose(found)


def _forget_old(transaction: Transaction) -> None:
    """Forget what is over; what was published is kept longer, with all that it was."""
    old, older = database_now(-FORGET_PARAMETERS_AFTER), database_now(-KEEP_FOR)
    oldest = database_now(-publications.KEEP_FOR.total_seconds())
    other = Command.kind != CommandKind.PUBLISH
    is_over = ((Command.requested_at < older) & other) | (Command.requested_at < oldest)
    transaction.execute(delete(Command).where(is_over))
    transaction.execute(
        update(Command)
        .where(Command.requested_at < old, Command.parameters.is_not(None), other)
        .values(parameters=None)
    )


def _insert(
    transaction: Transaction,
    kind: CommandKind,
    ids: Sequence[int | None],
    parameters: str | None,
    told: Changes,
) -> list[int]:
    """Insert a command a connection, those deleted a moment ago left out; return their ids."""
    names = records.names(transaction, [number for number in ids if number is not None])
    there = (number for number in ids if number is None or number in names)
    # As a deletion takes its records, so that neither waits for the other.
    wanted = sorted(there, key=lambda number: number or 0)
    if not wanted:
        return []
    subjects = [
        Subject(number, None if number is None else names[number], told) for number in wanted
    ]
    audit.note_all(transaction, f"command.{kind}", records.KIND, subjects)
    common = {
        "kind": kind,
        "parameters": parameters,
        "requested_by": accounts.email(),
        "requested_at": database_now(),
    }
    rows = transaction.scalars(
        insert(Command).values(common).returning(Command.id, sort_by_parameter_order=True),
        [{"connection_id": number} for number in wanted],
    )
    return list(rows)


def statement() -> Select[Any]:
    """Select commands with what the worker made of them, for `answer_of`."""
    return select(
        columns.raw(Command.id),
        columns.raw(Command.connection_id),
        columns.raw(Command.kind),
        columns.time(Command.requested_at),
        Command.__table__.c.parameters.is_not(None).label("has_parameters"),
        columns.raw(CommandResult.state),
        columns.raw(CommandResult.boot_id),
        columns.json_object(CommandResult.result),
    ).outerjoin_from(Command, CommandResult, CommandResult.command_id == Command.id)


def answer_of(row: Row[Any], worker: Worker | None, now: datetime) -> Answer:
    """Return what is known about the command in a row of `statement`."""
    result = row.result or {}
    state, code, detail, is_final = _judge(row, result, worker, now)
    return Answer(row.id, row.connection_id, row.kind, state, code, detail, is_final, result)


def _judge(
    row: Row[Any], result: Mapping[str, Any], worker: Worker | None, now: datetime
) -> tuple[str, str, Mapping[str, Any], bool]:
    """Return (state, code, detail, whether nothing more will come)."""
    active = worker if worker is not None and worker.active else None
    if row.state in (CommandState.DONE, CommandState.FAILED):
        return row.state, str(result.get("code")), result.get("detail") or {}, True
    if row.state is not None:
        if active is None or active.boot_id != row.boot_id:
            is_publish = row.kind == CommandKind.PUBLISH
            code = "publish_worker_ended" if is_publish else "worker_ended"
            return CommandState.FAILED, code, {}, True
        running = probing.running_step(result)
        if running is not None:
            return CommandState.ACCEPTED, "testing", {"step": running}, False
        return CommandState.ACCEPTED, "accepted", {}, False
    age = (now - row.requested_at).total_seconds() if row.requested_at else LOST_AFTER
    if row.kind == CommandKind.PUBLISH and age >= LOST_AFTER:
        return CommandState.FAILED, "publish_not_taken", {}, True
    if active is None:
        return CommandState.FAILED, *overview.silence(worker), True
    if age < LATE_AFTER:
        return "asked", "asked", {}, False
    is_lost = age >= LOST_AFTER
    state = CommandState.FAILED if is_lost else "asked"
    return state, "not_taken", {"seconds": round(age)}, is_lost
