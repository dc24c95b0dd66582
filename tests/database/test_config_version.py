"""Every wish moves `config_version`, in the same transaction; nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from database import config_version
from database.clock import database_now
from database.models import Command, Connection, Subscription, WorkerHeartbeat
from database.words import CommandKind, WorkerState

Sessions = sessionmaker[Session]


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    """Sessions that are followed, as the web's are, and one record."""
    made = sessionmaker(engine)
    config_version.follow(made)
    with made.begin() as session:
        session.add(
            Connection(
                name="a", site="b", host="c", subscriptions=[Subscription(topic_filter="x/#")]
            )
        )
    return made


def version(engine: Engine) -> int:
    with engine.connect() as transaction:
        return config_version.read(transaction)


def the_record(session: Session) -> Connection:
    return session.scalars(select(Connection)).one()


def insert(session: Session) -> None:
    session.add(Connection(name="another", site="b", host="c"))


def edit(session: Session) -> None:
    the_record(session).port = 8883


def remove(session: Session) -> None:
    session.delete(the_record(session))


def subscribe(session: Session) -> None:
    record = the_record(session)
    record.subscriptions.append(Subscription(topic_filter="y"))


def unsubscribe(session: Session) -> None:
    record = the_record(session)
    record.subscriptions.clear()


def resubscribe(session: Session) -> None:
    record = the_record(session)
    record.subscriptions[0].qos = 2


def ask(session: Session) -> None:
    session.add(Command(connection_id=the_record(session).id, kind=CommandKind.RECONNECT))


WISHES = [insert, edit, remove, subscribe, unsubscribe, resubscribe, ask]


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_moves_the_version(
    engine: Engine, sessions: Sessions, wish: Callable[[Session], None]
) -> None:
    before = version(engine)
    with sessions.begin() as session:
        wish(session)
    assert version(engine) > before


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_that_is_rolled_back_does_not(
    engine: Engine, sessions: Sessions, wish: Callable[[Session], None]
) -> None:
    before = version(engine)
    with sessions() as session:
        wish(session)
        session.flush()
        session.rollback()
    assert version(engine) == before


def test_reading_does_not(engine: Engine, sessions: Sessions) -> None:
    before = version(engine)
    with sessions.begin() as session:
        assert the_record(session).subscriptions
    assert version(engine) == before


def test_saving_the_same_value_does_not(engine: Engine, sessions: Sessions) -> None:
    before = version(engine)
    with sessions.begin() as session:
        record = the_record(session)
        record.port = record.port + 0
    assert version(engine) == before


def test_a_fact_does_not(engine: Engine, sessions: Sessions) -> None:
    before = version(engine)
    with sessions.begin() as session:
        session.add(
            WorkerHeartbeat(
                worker_id="w",
                hostname="h",
                pid=1,
                boot_id="b",
                version="v",
                started_at=database_now(),
                beat_at=database_now(),
                state=WorkerState.RUNNING,
            )
        )
    assert version(engine) == before


@pytest.mark.parametrize("wish", [edit, subscribe, unsubscribe, resubscribe])
def test_an_edit_of_a_record_or_its_subscriptions_moves_its_revision(
    engine: Engine, sessions: Sessions, wish: Callable[[Session], None]
) -> None:
    with Session(engine) as session:
        before = the_record(session).revision
    with sessions.begin() as session:
        wish(session)
    with Session(engine) as session:
        assert the_record(session).revision == before + 1


def test_bulk_statements_bump_by_hand(engine: Engine, sessions: Sessions) -> None:
    before = version(engine)
    with sessions.begin() as session:
        session.execute(update(Connection).values(is_enabled=False))
        config_version.bump(session)
    assert version(engine) == before + 1


def test_many_writers_lose_no_step(engine: Engine) -> None:
    before = version(engine)
    for _ in range(20):
        with Session(engine) as session, session.begin():
            config_version.bump(session)
    assert version(engine) == before + 20


def test_deleting_a_record_takes_its_subscriptions_and_commands_along(
    engine: Engine, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        ask(session)
    with engine.begin() as transaction:
        transaction.execute(delete(Connection))
    with Session(engine) as session:
        assert session.scalars(select(Subscription)).all() == []
        assert session.scalars(select(Command)).all() == []
