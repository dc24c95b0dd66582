"""Rows B2, B3, B5 and B11: brokers that answer late, never, or with a no. All side by side."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from database.reasons import explain
from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.cause import cause
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support import packets
from tests.support.process import HOST, free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import (
    GOOD,
    NO_CONNACK,
    NO_PINGRESP,
    NO_SUBACK,
    SUBACK_FAILURE,
    Script,
    refuse,
)
from tests.worker.core import lives

#: Where a deadline is not what is looked at: long enough for every slow broker here.
TIMEOUT, SLOW, LATE = 10, 3.0, 12.0 if LONG else 6.0
#: The deadline of records whose broker never answers, seconds.
SHORT_TIMEOUT = 10 if LONG else 4
KEEPALIVE = 2
#: The longest backoff and one more try, seconds.
LONGEST_WAIT = 45.0
#: What the worker needs to notice that a deadline has passed, and we to see it, seconds.
PUNCTUAL = 0.5

#: MQTT version, CONNACK code, and what becomes of the connection.
NO = State.REFUSED
LATER = State.BACKOFF
REFUSALS = [
    ("3.1.1", 1, NO, "unsupported_protocol_version"),
    ("3.1.1", 2, NO, "client_identifier_not_valid"),
    ("3.1.1", 3, LATER, "server_unavailable"),
    ("3.1.1", 4, NO, "bad_user_name_or_password"),
    ("3.1.1", 5, NO, "not_authorized"),
    ("5", 0x84, NO, "unsupported_protocol_version"),
    ("5", 0x85, NO, "client_identifier_not_valid"),
    ("5", 0x86, NO, "bad_user_name_or_password"),
    ("5", 0x87, NO, "not_authorized"),
    ("5", 0x88, LATER, "server_unavailable"),
    ("5", 0x89, LATER, "server_busy"),
    ("5", 0x8A, NO, "banned"),
    ("5", 0x8C, NO, "bad_authentication_method"),
    ("5", 0x9D, NO, "server_moved"),
    ("5", 0x9F, LATER, "connection_rate_exceeded"),
]


@dataclass(frozen=True, slots=True)
class Part:
    """A record and the broker that it meets."""

    broker: ScriptedBroker
    subject: Subject

    @property
    def seconds_open(self) -> float:
        """How long the first connection stood, by the broker's clock."""
        first = self.broker.sessions[0]
        assert first.closed_at is not None
        return first.closed_at - first.opened_at


Cast = dict[object, Part]


@pytest.fixture(scope="module")
def cast(stage: Stage) -> Iterator[Cast]:
    """Every broker of this module with its record, all started at the same time."""
    with ExitStack() as brokers, Oracle(stage) as oracle:

        def play(script: Script, **columns: object) -> Part:
            broker = brokers.enter_context(ScriptedBroker(script))
            return Part(broker, oracle.add(broker.port, "data/#", **columns))

        quick = {"connect_timeout_s": SHORT_TIMEOUT}
        yield {
            "slow": play(Script(connack_delay=SLOW), connect_timeout_s=TIMEOUT),
            "late": play(Script(connack_delay=LATE), **quick),
            "never": play(NO_CONNACK, **quick),
            "no suback": play(NO_SUBACK, **quick),
            "no pingresp": play(NO_PINGRESP, keepalive_s=KEEPALIVE),
            "one no": play(SUBACK_FAILURE),
            # Mended by their tests, so that the others find theirs as they were.
            "edited": play(refuse(0x86), protocol="5"),
            "busy": play(refuse(0x89), protocol="5"),
            **{
                (version, code): play(refuse(code), protocol=version)
                for version, code, _, _ in REFUSALS
            },
        }


def _mend(part: Part, row: str) -> None:
    """Let the broker be good again and check that this is seen and told."""
    part.broker.script = GOOD

    def is_met() -> bool:
        # A connection that was accepted just before still plays the old script.
        return any(session.script is GOOD and session.connect for session in part.broker.sessions)

    part.broker.wait(is_met, LONGEST_WAIT)
    told = part.subject.seconds_until(State.CONNECTED)
    note(row, "connected again is told after", told)


def test_b2_a_slow_connack_within_the_deadline_connects(cast: Cast) -> None:
    part = cast["slow"]
    part.subject.wait(State.CONNECTED, "success", SLOW + TOLD_WITHIN)
    assert len(part.broker.connects) == 1
    session = part.broker.sessions[0]
    assert session.connected_at is not None
    note("B2", f"CONNACK after {SLOW:g} s: connected and told after", _age(session.opened_at))


def _age(moment: float) -> float:
    return time.monotonic() - moment


@pytest.mark.timing
def test_b2_a_connack_after_the_deadline_comes_to_a_closed_socket(cast: Cast) -> None:
    part = cast["late"]
    part.subject.wait(None, "connack_timeout", SHORT_TIMEOUT + TOLD_WITHIN)
    part.broker.wait(lambda: part.broker.open_now == 0)
    assert part.seconds_open == pytest.approx(SHORT_TIMEOUT, abs=PUNCTUAL)
    assert part.broker.most_open == 1
    note("B2", f"deadline {SHORT_TIMEOUT} s: socket closed after", part.seconds_open)
    _mend(part, "B2")


@pytest.mark.timing
def test_b3_without_a_connack_the_try_ends_in_time_and_is_the_only_one(cast: Cast) -> None:
    part = cast["never"]
    part.subject.wait(None, "connack_timeout", SHORT_TIMEOUT + TOLD_WITHIN)
    assert part.seconds_open == pytest.approx(SHORT_TIMEOUT, abs=PUNCTUAL)
    note("B3", f"deadline {SHORT_TIMEOUT} s: gives up after", part.seconds_open)
    part.broker.wait_for_connects(2)
    assert part.broker.most_open == 1
    note("B3", "most sockets at once", part.broker.most_open, "")
    _mend(part, "B3")


def test_b3_a_full_accept_queue_is_a_timeout(oracle: Oracle) -> None:
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind((HOST, free_port()))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        # One waits to be accepted; from then on the kernel drops every SYN.
        waiting.enter_context(socket.create_connection((HOST, port)))
        subject = oracle.add(port, connect_timeout_s=1)
        took = subject.seconds_until(State.BACKOFF, "tcp_timeout", 1 + TOLD_WITHIN)
        note("B3", "accept queue full, deadline 1 s: told after", took)
        assert _sockets_to(port) <= 2  # ours that waits, and one of the worker


def _sockets_to(port: int) -> int:
    """Return how many sockets of this machine call `port`, answered or not."""
    return sum(
        line.split()[2].endswith(f":{port:04X}") and line.split()[3] in ("01", "02")
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    )


@pytest.mark.parametrize(
    ("version", "code", "state", "reason"),
    REFUSALS,
    ids=[f"{version} 0x{code:02X}" for version, code, _, _ in REFUSALS],
)
def test_b5_a_refusal_is_told_in_words(
    cast: Cast, version: str, code: int, state: State, reason: str
) -> None:
    part = cast[version, code]
    part.broker.wait_for_connects(1)
    said = part.subject.wait(state, reason)
    row = part.subject.status()
    assert (row.reason_code, row.raw_code, row.origin) == (reason, code, "broker")
    assert said["reason"] == explain(reason, row.detail)
    assert "{" not in said["reason"]
    assert part.broker.most_open == 1
    if state is NO:
        assert len(part.broker.connects) == 1
        assert (row.next_attempt_at - row.since).total_seconds() > 50


def test_b5_another_server_is_named_and_not_gone_to(oracle: Oracle) -> None:
    with ScriptedBroker() as elsewhere:
        reference = packets.text(f"127.0.0.1:{elsewhere.port} \u202e\x1b[2J")
        # Temporary and for good: Use Another Server, Server Moved.
        for code in (0x9C, 0x9D):
            script = replace(refuse(code), connack_properties=b"\x1c" + reference)
            with ScriptedBroker(script) as broker:
                told = oracle.add(broker.port).wait(NO)["reason"]
                assert rf"(127.0.0.1:{elsewhere.port} \u202e\x1b[2J)" in told
        assert elsewhere.sessions == []


def test_b5_an_hour_of_refusals_is_a_dozen_tries() -> None:
    walk = lives.connecting()
    end, tries = walk.now + 3600.0, 0
    while walk.now < end:
        walk.on(events.Failed(cause("not_authorized")))
        assert walk.state is State.REFUSED
        # Never for good, and never long: a broker that is mended is met within five minutes.
        assert walk.wait <= 300.0
        walk.due()
        tries += 1
    assert 10 <= tries <= 16


def test_b5_a_refused_record_connects_as_soon_as_it_is_edited(cast: Cast) -> None:
    part = cast["edited"]
    part.subject.wait(State.REFUSED)
    part.broker.script = GOOD
    part.subject.change(username="somebody")
    took = part.subject.seconds_until(State.CONNECTED)
    assert part.broker.connects[-1].username == "somebody"
    note("B5", "connected and told after an edit", took)


def test_b5_a_broker_that_was_busy_is_met_again(cast: Cast) -> None:
    cast["busy"].subject.wait(State.BACKOFF, "server_busy")
    _mend(cast["busy"], "B5")


@pytest.mark.timing
def test_b11_without_pingresp_the_broker_is_declared_dead(cast: Cast) -> None:
    part = cast["no pingresp"]
    part.subject.wait(None, "keepalive_timeout", 1.5 * KEEPALIVE + 1 + TOLD_WITHIN)
    first = part.broker.sessions[0]
    assert first.closed_at is not None
    assert first.spoke_at is not None
    silent = first.closed_at - first.spoke_at
    assert silent == pytest.approx(1.5 * KEEPALIVE + 1, abs=PUNCTUAL)
    note("B11", f"no PINGRESP, Keep Alive {KEEPALIVE} s: closed after a silence of", silent)
    _mend(part, "B11")


@pytest.mark.timing
def test_b11_without_suback_the_try_ends_at_the_deadline(cast: Cast) -> None:
    part = cast["no suback"]
    part.subject.wait(None, "suback_timeout", SHORT_TIMEOUT + TOLD_WITHIN)
    assert part.seconds_open == pytest.approx(SHORT_TIMEOUT, abs=PUNCTUAL)
    note("B11", f"no SUBACK, deadline {SHORT_TIMEOUT} s: closed after", part.seconds_open)
    _mend(part, "B11")


def test_b11_a_refused_filter_is_degraded_and_makes_health_warn(cast: Cast) -> None:
    subject = cast["one no"].subject
    subject.wait(State.DEGRADED, "subscribe_refused")
    health = subject.stage.health(subject.name)
    assert (health["status"], health["summary"]["connected"]) == ("warn", 0)
    assert "data/#" in health["connections"][0]["reason"]
