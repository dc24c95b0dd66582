"""Rows B6, B7 and B8: brokers that send what they must not, noise, and giants.

Every single violation is played to a session in tests/worker/contract/test_violations.py;
here they meet a whole worker, again and again, until the broker is good.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench import proc
from database.words import ConnectionState as State
from tests.faults.conftest import Note
from tests.faults.figures import LONG
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Subject
from tests.support import packets
from tests.support.fault_proxy import FaultProxy
from tests.support.packets import V5, PacketType
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GARBAGE, GOOD, Script
from tests.support.violation import Moment
from tests.support.violations import every_violation

MIB = 1_048_576
#: Records that meet them, and how many of the violations they meet.
RECORDS, SEQUENCES = (60, 300) if LONG else (40, 100)
#: Backoff after so many failures in a row, and what a connect takes, seconds.
RECOVERED_WITHIN = 120.0 if LONG else 30.0
#: How long bits flip, how many of them, and how often the broker says something meanwhile.
NOISY_FOR, NOISE, PAUSE = 600.0 if LONG else 4.0, 0.01, 0.05
#: What refusing an announced giant may cost.
MOST_CPU, MOST_RSS_KB = 0.05, 8_192


def _connected(subjects: list[Subject]) -> bool:
    return all(subject.told()["state"] == State.CONNECTED for subject in subjects)


# --- B6 ----------------------------------------------------------------------------------


def _scripts() -> list[Script]:
    """Return brokers that each break one rule of MQTT 5, before the CONNACK or after it."""
    found = [
        Script(instead_of_connack=each.data)
        if each.moment is Moment.CONNACK
        else Script(after_connack=each.data)
        for each in every_violation()
        if each.version == V5 and each.moment is not Moment.SUBACK
    ]
    return [*random.Random(6).sample(found, SEQUENCES - 1), GARBAGE]


def test_b6_a_worker_survives_whatever_brokers_send_and_comes_back(
    oracle: Oracle, note: Note
) -> None:
    with ScriptedBroker() as broker:
        broker.next_scripts.extend(_scripts())
        subjects = [oracle.add(broker.port) for _ in range(RECORDS)]
        wait_until(lambda: not broker.next_scripts, RECOVERED_WITHIN, "all played")
        mended_at = time.monotonic()
        wait_until(lambda: _connected(subjects), RECOVERED_WITHIN, "all connected")
        note("B6", "all connected after the last violation", time.monotonic() - mended_at, "s")
        played = [each for each in broker.sessions if each.script != GOOD]
        assert len(played) == SEQUENCES
        wedged = [each.script for each in played if each.closed_at is None]
        assert wedged == []
        silent = [each.script for each in played if not each.disconnect_code]
        # Whoever speaks no MQTT is told nothing in MQTT.
        assert silent == [GARBAGE]
        note("B6", f"conform of {SEQUENCES} sequences", 100.0, "%")
    reasons = {reason for subject in subjects for _, reason in subject.events()}
    assert {"protocol_error", "not_mqtt"} <= reasons
    assert not reasons & {"internal_error", "no_progress", "keepalive_timeout"}


# --- B7 ----------------------------------------------------------------------------------


@contextmanager
def _talking(broker: ScriptedBroker) -> Iterator[None]:
    """Have the broker publish on every session, now and then."""
    over = threading.Event()

    def talk() -> None:
        while not over.wait(PAUSE):
            for session in list(broker.sessions):
                if session.closed_at is None and session.connect is not None:
                    _say(session.publish, "data/x", b"21.5", qos=1, packet_id=7)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _say(publish: Callable[..., None], *args: object, **more: object) -> None:
    try:
        publish(*args, **more)
    except OSError:
        return  # it has just closed


def test_b7_flipped_bits_leave_no_zombie(oracle: Oracle, note: Note) -> None:
    with ScriptedBroker() as broker, FaultProxy(broker.port) as proxy:
        subjects = [oracle.add(proxy.port, "data/#", keepalive_s=1) for _ in range(10)]
        wait_until(lambda: _connected(subjects), 10.0, "all connected")
        with _talking(broker):
            proxy.corrupt = NOISE
            time.sleep(NOISY_FOR)
            proxy.corrupt = 0.0
            quiet_at = time.monotonic()
            wait_until(lambda: _connected(subjects), RECOVERED_WITHIN, "all connected")
        note("B7", "all connected after the noise", time.monotonic() - quiet_at, "s")
        # A zombie would be told as connected without a session that lives.
        alive = [each for each in broker.sessions if each.closed_at is None]
        before = {id(each): each.pings for each in alive}
        wait_until(
            lambda: all(each.pings > before[id(each)] or each.closed_at for each in alive),
            5.0,
            "a ping of every session",
        )
        assert len([each for each in alive if each.closed_at is None]) == len(subjects)
        note("B7", "connections that flipped bits ended", len(broker.sessions) - len(subjects), "")
        note("B7", "zombies", 0.0, "")


# --- B8 ----------------------------------------------------------------------------------


def _announced(size: int) -> bytes:
    return bytes([PacketType.PUBLISH << 4]) + packets.remaining_length(size)


def test_b8_an_announced_giant_costs_nothing(oracle: Oracle, note: Note) -> None:
    pid = oracle.stage.pid
    with ScriptedBroker() as broker:
        subject = oracle.add(broker.port)
        subject.wait(State.CONNECTED)
        session = broker.sessions[0]
        cpu, rss_kb, started = proc.cpu_seconds(pid), proc.rss_kb(pid), time.monotonic()
        broker.next_scripts.append(Script(connack=None))  # nothing to do meanwhile
        _say(session.send, _announced(256 * MIB - 1) + bytes(MIB))
        broker.wait(lambda: session.closed_at)
        took, used = time.monotonic() - started, proc.cpu_seconds(pid) - cpu
        assert used <= MOST_CPU
        assert proc.rss_kb(pid) - rss_kb <= MOST_RSS_KB
        assert session.disconnect_code == 0x95
        subject.wait(None, "packet_too_large")
    note("B8", "256 MiB announced: closed after", took, "s")
    note("B8", "256 MiB announced: CPU of the worker", used, "s")
    note("B8", "longest stall of the hub", oracle.most_lag_ms, "ms")


@pytest.mark.parametrize("size", [MIB + 1, 8 * MIB, 32 * MIB])
def test_b8_what_exceeds_the_limit_is_refused_whole(oracle: Oracle, size: int) -> None:
    with ScriptedBroker(Script(after_connack=packets.publish(V5, "a", bytes(size)))) as broker:
        subject = oracle.add(broker.port)
        subject.wait(None, "packet_too_large")
        assert "limit of 1048576 bytes" in subject.told()["reason"]
        broker.wait(lambda: broker.sessions[0].closed_at)


def test_b8_a_header_that_drips_is_refused_at_its_last_byte(oracle: Oracle) -> None:
    with ScriptedBroker() as broker:
        subject = oracle.add(broker.port)
        subject.wait(State.CONNECTED)
        session = broker.sessions[0]
        for byte in _announced(256 * MIB - 1):
            _say(session.send, bytes([byte]))
            time.sleep(0.05)
        broker.wait(lambda: session.closed_at, 1.0)
        subject.wait(None, "packet_too_large", TOLD_WITHIN)
