"""Rows D6 and M3: no room for more messages, because the database is away or too many come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.words import ConnectionState as State
from tests.faults.conftest import LITTLE_ROOM, Note
from tests.faults.figures import LONG
from tests.faults.messages import (
    MessageOracle,
    count,
    locked,
    numbered,
    numbers,
    publish,
    wait_for_rows,
)
from tests.faults.stage import Stage, Subject
from tests.support import packets
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker

#: Keep Alive of everybody, and how long nothing is read, seconds: the broker would be declared
#: dead after 4 s of silence, and mosquitto would do so to us after 3 s.
KEEPALIVE, FULL_FOR = 2, 60.0 if LONG else 5.0
#: More than fits: the room is for 2,000.
FLOOD, QUIET = 20_000, 100
QUEUE = int(LITTLE_ROOM["HAWSER_MESSAGE_QUEUE_MESSAGES"])


@pytest.fixture
def oracle(small_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle where there is little room."""
    with MessageOracle(small_stage) as watching:
        yield watching


def _settled(subject: Subject, sent: int) -> None:
    """Wait until each message that was sent is stored or counted as dropped."""
    wait_until(
        lambda: count(subject) + subject.status().messages_dropped == sent,
        15.0,
        lambda: f"{count(subject)} stored and {subject.status()} of {sent}",
    )


def _unread(port: int) -> int:
    """Return how many bytes from this port wait in sockets that nobody reads."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    found = [line.split() for line in lines]
    return sum(int(each[4].split(":")[1], 16) for each in found if each[2].endswith(f":{port:04X}"))


def test_d6_a_full_queue_drops_qos_0_and_leaves_qos_1_with_the_broker(
    oracle: MessageOracle, note: Note
) -> None:
    stage = oracle.stage
    port = stage.mosquitto.port
    with ScriptedBroker() as scripted:
        at_most_once = oracle.add(scripted.port, "data/#", keepalive_s=KEEPALIVE)
        at_least_once = oracle.add(port, "data/#", keepalive_s=KEEPALIVE)
        quiet = oracle.add(port, "quiet/#", keepalive_s=KEEPALIVE)
        subjects = (at_most_once, at_least_once, quiet)
        since = {each.id: each.wait(State.CONNECTED)["connected_since"] for each in subjects}
        session = scripted.sessions[0]
        with oracle.database_away():
            with locked(stage):
                session.send(b"".join(numbered(range(FLOOD), 0)))
                publish(port, numbered(range(FLOOD), 1, packets.V311), 1)
                time.sleep(FULL_FOR)
                assert _unread(port) > 0
                publish(port, numbered(range(QUIET), 1, packets.V311, topic="quiet/x"), 1)
            free_at = time.monotonic()
            wait_for_rows(quiet, QUIET)
            note("D6", "the quiet connection stored after", time.monotonic() - free_at, "s")
            wait_for_rows(at_least_once, FLOOD)
            note("D6", f"{FLOOD} of QoS 1 stored after", time.monotonic() - free_at, "s")
        _settled(at_most_once, FLOOD)
        assert numbers(at_least_once) == list(range(FLOOD))
        assert numbers(quiet) == list(range(QUIET))
        stored = numbers(at_most_once)
        assert stored == sorted(set(stored), key=lambda n: n or 0)
        assert 0 < len(stored) <= QUEUE
        for each in subjects:
            assert each.wait(State.CONNECTED)["connected_since"] == since[each.id]
        assert at_least_once.status().messages_dropped == 0


def test_m3_a_flood_of_qos_0_is_stored_or_counted_to_the_last_message(
    oracle: MessageOracle, note: Note
) -> None:
    with ScriptedBroker() as scripted:
        subject = oracle.add(scripted.port, "data/#", keepalive_s=KEEPALIVE)
        since = subject.wait(State.CONNECTED)["connected_since"]
        began_at = time.monotonic()
        scripted.sessions[0].send(b"".join(numbered(range(FLOOD), 0)))
        _settled(subject, FLOOD)
        note("M3", f"{FLOOD} messages of QoS 0 settled after", time.monotonic() - began_at, "s")
        found = subject.status()
        assert found.messages_in == count(subject)
        assert found.messages_dropped > 0
        assert subject.told()["connected_since"] == since
    note("M3", "hub late by", oracle.most_lag_ms, "ms")
