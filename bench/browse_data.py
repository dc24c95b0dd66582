"""A million messages of a month for `bench browse`, the same at every run.

Most come from a few busy connections on two thousand topics. What is hard to find lies among
the oldest: a connection that said little, topics with three messages, a word in one payload.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, insert, text

from database.models import Connection, Message

DAYS = 30
#: Names of the connections; ids count from 1.
CONNECTIONS = ("plant-1", "plant-2", "plant-3", "plant-4", "plant-5", "quiet")
QUIET = len(CONNECTIONS)
#: Busy topics: plants, lines, sensors, measures.
PLANTS, LINES, SENSORS, MEASURES = 5, 20, 5, ("temperature", "pressure", "state", "current")
#: Share of the rows from the oldest on, in which the rare ones lie.
OLD = 0.02
RARE_TOPIC, RARE_WORD = "alarm/{}/fire", "needle-7f3a"
#: Rows in one write.
BATCH = 5_000
COLUMNS = ("connection_id", "received_at", "topic", "payload", "qos", "retain", "dup")
Row = tuple[int, datetime, str, bytes, int, bool, bool]


def fill(engine: Engine, count: int) -> None:
    """Write the connections and `count` messages; the newest is of now."""
    now = datetime.now(UTC)
    with engine.begin() as transaction:
        names = [{"name": name, "site": name, "host": "broker.example"} for name in CONNECTIONS]
        transaction.execute(insert(Connection.__table__), names)  # type: ignore[arg-type]
        _make_partitions(transaction, now)
    found = rows(count, now)
    while batch := list(islice(found, BATCH)):
        with engine.begin() as transaction:
            _write(transaction, batch)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as transaction:
        # What the database's own housekeeping would have done by now.
        transaction.execute(
            text("VACUUM ANALYZE message" if _is_postgresql(engine) else "SELECT 1")
        )


def rows(count: int, now: datetime) -> Iterator[Row]:
    """Yield `count` messages, oldest first, evenly over the days."""
    dice = random.Random(4)  # noqa: S311 - no secret
    topics = [
        f"plant/{plant}/line/{line}/sensor-{sensor}/{measure}"
        for plant in range(PLANTS)
        for line in range(LINES)
        for sensor in range(SENSORS)
        for measure in MEASURES
    ]
    start, step = now - timedelta(days=DAYS), timedelta(days=DAYS) / count
    rare = {int(count * OLD * share / 10): share for share in range(1, 10)}
    for number in range(count):
        at = start + number * step
        yield _rare(rare[number], at) if number in rare else _busy(dice, topics, number, at)


def _busy(dice: random.Random, topics: list[str], number: int, at: datetime) -> Row:
    topic = topics[int(dice.random() * len(topics))]
    plant = int(topic.split("/", 2)[1]) + 1
    value = f'{{"value": {dice.random() * 100:.3f}, "number": {number}, "unit": "C", "ok": true}}'
    return plant, at, topic, value.encode(), number % 3, number % 100 == 0, False


def _rare(share: int, at: datetime) -> Row:
    word = RARE_WORD if share == 5 else "smoke"
    return (
        QUIET,
        at,
        RARE_TOPIC.format(share % 3),
        f"{word} in hall {share}".encode(),
        1,
        True,
        False,
    )


def _write(transaction: Transaction, batch: list[Row]) -> None:
    if not _is_postgresql(transaction.engine):
        transaction.execute(
            insert(Message), [dict(zip(COLUMNS, row, strict=True)) for row in batch]
        )
        return
    driver: Any = transaction.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY message ({', '.join(COLUMNS)}) FROM STDIN") as copy,
    ):
        for row in batch:
            copy.write_row(row)


def _make_partitions(transaction: Transaction, now: datetime) -> None:
    """Where messages lie in partitions, make those of the days before today, as time does."""
    if not _is_postgresql(transaction.engine):
        return
    kind = transaction.scalar(text("SELECT relkind FROM pg_class WHERE relname = 'message'"))
    if kind not in ("p", b"p"):
        return
    for days in range(DAYS + 1):
        day = (now - timedelta(days=days)).date()
        transaction.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS message_y{day:%Y}m{day:%m}d{day:%d} PARTITION OF "
                f"message FOR VALUES FROM ('{day} 00:00+00') "
                f"TO ('{day + timedelta(days=1)} 00:00+00')"
            )
        )


def _is_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"
