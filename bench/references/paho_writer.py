"""A paho client a connection and one thread that stores what they receive in batches.

What a careful hand would write with paho: `manual_ack`, a queue, one writer, at most 1,000 rows
or 50 ms a batch, and each message acknowledged after its batch is committed. The rows go
into the product's own table, with the durability that the product asks for.
"""

from __future__ import annotations

import argparse
import datetime
import queue
import signal
import sqlite3
import threading
import time
from abc import ABC, abstractmethod

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy import make_url

from bench.ports import HOST

BATCH_ROWS, BATCH_SECONDS = 1_000, 0.05
SESSION_EXPIRY = 3_600  # seconds
COLUMNS = "connection_id, received_at, topic, payload, qos, retain, dup"
Row = tuple[int, datetime.datetime, str, bytes, int, bool, bool]
Item = tuple[mqtt.Client, int, Row]
#: What came; None is the end.
Arrived = queue.SimpleQueue[Item | None]


class Store(ABC):
    """Where the rows go."""

    @abstractmethod
    def write(self, rows: list[Row]) -> None:
        """Commit the rows."""


class SQLiteStore(Store):
    """One connection, WAL, synchronous=FULL."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")

    def write(self, rows: list[Row]) -> None:
        plain = [(row[0], row[1].replace(tzinfo=None).isoformat(" "), *row[2:]) for row in rows]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            f"INSERT INTO message ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            plain,
        )
        self._connection.execute("COMMIT")


class PostgreSQLStore(Store):
    """One connection, COPY."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def write(self, rows: list[Row]) -> None:
        with self._connection.cursor() as cursor:
            with cursor.copy(f"COPY message ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "timestamptz", "text", "bytea", "int4", "bool", "bool"])
                for row in rows:
                    copy.write_row(row)
            self._connection.commit()


def open_store(url: str) -> Store:
    """Return the store at an address of SQLAlchemy's form."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SQLiteStore(str(parsed.database))
    plain = parsed.set(drivername="postgresql")
    return PostgreSQLStore(plain.render_as_string(hide_password=False))


def connect(index: int, port: int, arrived: Arrived) -> mqtt.Client:
    """Return one client that is subscribed and whose thread is running."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        f"bench-{index}",
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,
    )

    def take(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        now = datetime.datetime.now(datetime.UTC)
        flags = (message.qos, message.retain, message.dup)
        row = (index + 1, now, message.topic, bytes(message.payload), *flags)
        arrived.put((client, message.mid, row))

    subscribed = threading.Event()
    client.on_message = take
    client.on_subscribe = lambda *_: subscribed.set()
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = SESSION_EXPIRY
    client.connect(HOST, port, 60, clean_start=False, properties=kept)
    client.loop_start()
    client.subscribe(f"load/{index}/#", 1)
    subscribed.wait()
    return client


def next_batch(arrived: Arrived) -> list[Item | None]:
    """Return what came: at most so many, at most so long after the first of them."""
    items = [arrived.get()]
    deadline = time.monotonic() + BATCH_SECONDS
    while len(items) < BATCH_ROWS and items[-1] is not None:
        try:
            items.append(arrived.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            break
    return items


def store(arrived: Arrived, into: Store) -> None:
    """Store and then acknowledge, until the end."""
    while batch := next_batch(arrived):
        items = [item for item in batch if item is not None]
        into.write([row for _, _, row in items])
        for client, mid, _ in items:
            client.ack(mid, 1)
        if batch[-1] is None:
            return


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--database", required=True)
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    arrived: Arrived = queue.SimpleQueue()
    into = open_store(given.database)
    writer = threading.Thread(target=store, args=(arrived, into), daemon=True)
    writer.start()
    clients = [connect(index, given.port, arrived) for index in range(given.connections)]
    print("ready", flush=True)
    signal.sigwait([signal.SIGTERM])
    arrived.put(None)
    writer.join()
    for client in clients:
        client.disconnect()
    for client in clients:
        client.loop_stop()


if __name__ == "__main__":
    main()
