"""Times in UTC and stored words, the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from database.clock import database_moment, database_now
from database.models import Connection, ConnectionEvent, WorkerLease
from database.words import Certainty, ConnectionState, Origin

MOMENT = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)


def store_event(engine: Engine, at: datetime, state: object = ConnectionState.CONNECTED) -> None:
    with engine.begin() as transaction:
        transaction.execute(
            insert(ConnectionEvent).values(
                connection_id=1,
                at=at,
                state=state,
                reason_code="success",
                origin=Origin.BROKER,
                certainty=Certainty.CERTAIN,
            )
        )


def stored_event(engine: Engine) -> ConnectionEvent:
    with Session(engine) as session:
        return session.scalars(select(ConnectionEvent)).one()


@pytest.mark.parametrize(
    "at",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))),
        MOMENT.replace(microsecond=0),
        MOMENT.replace(microsecond=1),
    ],
)
def test_a_time_comes_back_as_the_same_moment_in_utc(engine: Engine, at: datetime) -> None:
    store_event(engine, at)
    found = stored_event(engine).at
    assert found == at
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        store_event(engine, MOMENT.replace(tzinfo=None))


def test_a_word_comes_back_as_its_member(engine: Engine) -> None:
    store_event(engine, MOMENT, "cooldown")
    assert stored_event(engine).state is ConnectionState.COOLDOWN


def test_an_unknown_word_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="unheard_of"):
        store_event(engine, MOMENT, "unheard_of")


# --- the database's clock -----------------------------------------------------------------------


def now(engine: Engine, seconds: float = 0) -> datetime:
    with engine.connect() as transaction:
        found: datetime = transaction.execute(select(database_now(seconds))).scalar_one()
        return found


def test_the_databases_clock_is_aware_and_agrees_with_ours_here(engine: Engine) -> None:
    before = datetime.now(UTC)
    found = now(engine)
    # SQLite's clock has milliseconds.
    assert before - timedelta(milliseconds=1) <= found <= datetime.now(UTC)


@pytest.mark.parametrize("seconds", [15, 0.5, -3600.0, -0.25])
def test_seconds_are_added_to_the_databases_clock(engine: Engine, seconds: float) -> None:
    before = datetime.now(UTC)
    difference = (now(engine, seconds) - before).total_seconds()
    assert seconds - 0.001 <= difference < seconds + 5


def test_the_clock_moves_within_a_transaction(engine: Engine) -> None:
    with engine.connect() as transaction:
        first = transaction.execute(select(database_now())).scalar_one()
        second = first
        while second == first:
            second = transaction.execute(select(database_now())).scalar_one()
    assert second > first


@pytest.mark.parametrize(("seconds", "expired"), [(-0.5, True), (60, False)])
def test_a_stored_time_compares_with_the_databases_clock(
    engine: Engine, seconds: float, expired: bool
) -> None:
    with engine.begin() as transaction:
        transaction.execute(
            insert(WorkerLease).values(slot=0, boot_id="b", expires_at=database_now(seconds))
        )
        found = transaction.execute(
            update(WorkerLease)
            .where(WorkerLease.expires_at < database_now())
            .values(epoch=WorkerLease.epoch + 1)
        )
        assert found.rowcount == int(expired)


def test_a_time_written_by_python_compares_with_the_databases_clock(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(
            insert(WorkerLease),
            [
                {"slot": 0, "boot_id": "b", "expires_at": datetime.now(UTC) - timedelta(seconds=1)},
                {"slot": 1, "boot_id": "b", "expires_at": datetime.now(UTC) + timedelta(minutes=1)},
            ],
        )
        due = select(WorkerLease.slot).where(WorkerLease.expires_at < database_now())
        assert transaction.execute(due).scalars().all() == [0]


def test_a_look_back_is_found_in_the_index_of_times(engine: Engine) -> None:
    at = ConnectionEvent.at
    recent = select(ConnectionEvent.id).where(at >= database_moment(-60)).order_by(at)
    words = str(recent.compile(engine, compile_kwargs={"literal_binds": True}))
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as transaction:
        if not is_sqlite:
            transaction.execute(text("SET enable_seqscan = off"))
        plan = transaction.execute(text(f"EXPLAIN {'QUERY PLAN' * is_sqlite} {words}"))
        found = " ".join(str(row) for row in plan)
    wanted = "ix_connection_event_at (at>?)" if is_sqlite else "Index Cond: (at >="
    assert wanted in found, found


# --- rows by plain SQL --------------------------------------------------------------------------

PLAIN = text("INSERT INTO connection (name, site, host) VALUES ('plant-7', 'site_88', 'localhost')")


def test_a_row_with_only_name_site_and_host_gets_every_default(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(PLAIN)
    with Session(engine) as session:
        plain = session.scalars(select(Connection)).one()
        by_model = Connection(name="model", site="site_88", host="localhost")
        session.add(by_model)
        session.commit()
        session.refresh(by_model)
        columns = set(Connection.__table__.columns.keys())
        for column in columns - {"id", "name", "created_at", "updated_at"}:
            assert getattr(plain, column) == getattr(by_model, column), column


def test_the_defaults_are_those_of_the_contract(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(PLAIN)
    with Session(engine) as session:
        row = session.scalars(select(Connection)).one()
        assert (row.port, row.is_enabled, row.protocol) == (1883, True, "auto")
        assert (row.client_id, row.clean_session) == ("{site}_{hostname}", True)
        assert (row.keepalive_s, row.connect_timeout_s) == (5, 10)
        assert row.status_topic == "{site}/backend/status"
        assert (row.online_payload, row.offline_payload) == ("online", "offline")
        assert (row.status_qos, row.status_retain) == (1, True)
        assert (row.tls, row.tls_verify, row.password) == (False, True, None)
        assert row.revision == 1
        assert abs(row.created_at - datetime.now(UTC)) < timedelta(seconds=30)


def test_an_id_is_never_used_again(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(PLAIN)
        first = transaction.execute(text("SELECT id FROM connection")).scalar_one()
        transaction.execute(text("DELETE FROM connection"))
        transaction.execute(PLAIN)
        assert transaction.execute(text("SELECT id FROM connection")).scalar_one() > first


def test_every_not_null_column_of_a_record_but_three_has_a_default() -> None:
    without = {
        column.name
        for column in Connection.__table__.columns
        if not column.nullable and column.server_default is None
    }
    assert without == {"id", "name", "site", "host"}
