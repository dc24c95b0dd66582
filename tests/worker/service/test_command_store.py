"""What the store promises about commands, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import OperationalError

from database.clock import database_now
from database.models import Command, CommandResult, WorkerLease
from database.words import CommandState
from mqttworker.ports.store import Commands, LeaseLostError
from mqttworker.ports.store.commands import LOOK_BACK
from tests.worker.service.asking import ask, row_of

BOOT = "boot-1"


@pytest.fixture
def store(engine: Engine) -> Commands:
    """The commands as the holder of the lease sees them."""
    lease = {"slot": 0, "boot_id": BOOT, "expires_at": database_now(5.0)}
    with engine.begin() as transaction:
        transaction.execute(insert(WorkerLease).values(**lease))
    return Commands(engine, BOOT)


def lose_lease(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(update(WorkerLease).values(boot_id="successor"))


def test_a_command_is_accepted_once(engine: Engine, store: Commands) -> None:
    number = ask(engine, "reconnect")
    (order,) = store.accept_new()
    assert (order.id, order.kind, order.is_too_old) == (number, "reconnect", False)
    assert store.accept_new() == []
    assert Commands(engine, BOOT).accept_new() == []
    assert row_of(engine, number).state is CommandState.ACCEPTED


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_command_is_run_once_although_the_answer_to_its_commit_was_lost(
    engine: Engine, store: Commands, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    commit = engine.dialect.do_commit

    def lose_the_answer(connection: Any) -> None:
        if took_effect:
            commit(connection)
        raise engine.dialect.loaded_dbapi.OperationalError

    number = ask(engine, "reconnect")
    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", lose_the_answer)
        with pytest.raises(OperationalError):
            store.accept_new()
    assert [order.id for order in store.accept_new()] == [number]
    assert store.accept_new() == []


def test_what_waited_for_more_than_30_s_is_too_old(engine: Engine, store: Commands) -> None:
    ask(engine, "reconnect", age=29)
    ask(engine, "reconnect", age=32)
    assert [order.is_too_old for order in store.accept_new()] == [False, True]


def test_a_command_that_appears_after_a_later_one_is_taken(engine: Engine, store: Commands) -> None:
    late = ask(engine, "reconnect")
    with engine.begin() as transaction:
        row = transaction.execute(select(Command.__table__)).one()._mapping
        transaction.execute(text("delete from command"))
    later = ask(engine, "reconnect")
    assert [order.id for order in store.accept_new()] == [later]
    assert later - late < LOOK_BACK
    with engine.begin() as transaction:
        transaction.execute(insert(Command.__table__).values(**row))  # type: ignore[arg-type]
    assert [order.id for order in store.accept_new()] == [late]


def test_a_worker_without_the_lease_accepts_and_finishes_nothing(
    engine: Engine, store: Commands
) -> None:
    number = ask(engine, "reconnect")
    store.accept_new()
    lose_lease(engine)
    ask(engine, "reconnect")
    for write in (
        store.accept_new,
        lambda: store.progress(number, {}),
        lambda: store.finish(number, {"code": "reconnecting"}, worked=True),
        store.prune,
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert row_of(engine, number).state is CommandState.ACCEPTED


def test_results_are_forgotten_after_a_day(engine: Engine, store: Commands) -> None:
    numbers = [ask(engine, "reconnect") for _ in range(2)]
    store.accept_new()
    with engine.begin() as transaction:
        old = update(CommandResult).where(CommandResult.command_id == numbers[0])
        transaction.execute(old.values(accepted_at=database_now(-24 * 3600.0 - 1)))
    store.prune()
    assert row_of(engine, numbers[0]) is None
    assert row_of(engine, numbers[1]) is not None


def test_a_command_of_yesterday_is_no_news(engine: Engine, store: Commands) -> None:
    ask(engine, "reconnect", age=24 * 3600 + 1)
    assert store.accept_new() == []
