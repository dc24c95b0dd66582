"""Rows B9, B10 and B12: dead, half-dead and bad lines to a broker that is well."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from database.words import ConnectionState as State
from mqttworker.core.backoff import STABLE_AFTER
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support import namespace
from tests.support.fault_proxy import FaultProxy
from tests.support.namespace import Cable
from tests.support.observer import Observer
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GOOD, Script

KEEPALIVE = 2
#: From the last byte until the client gives the broker up, seconds.
SILENCE = 1.5 * KEEPALIVE + 1
#: What a timer and a busy machine may add, seconds.
PUNCTUAL = 0.5
#: What others may wait for the will when the network dies (Keep Alive 2, mosquitto), seconds.
WILL_LIMIT = 10.0
#: After the network is back, seconds.
BACK_LIMIT = 15.0
#: Connections that the same cut takes, and how often it is made.
CABLED, CUTS = 5, 6 if LONG else 1
#: How long bad lines are watched, seconds.
WATCHED = 600.0 if LONG else 20.0

#: Bad lines that must be good enough. Latency is one way: half a round trip.
BAD_LINES: dict[str, dict[str, float]] = {
    "round trip 50 ms": {"latency": 0.025, "jitter": 0.2},
    "round trip 500 ms": {"latency": 0.25, "jitter": 0.2},
    "round trip 2 s": {"latency": 1.0, "jitter": 0.2},
    "64 kbit/s": {"rate": 8_000},
    "slices of 1 byte": {"slice": 1},
}


@dataclass(frozen=True, slots=True)
class Part:
    """A record and the line to its broker."""

    proxy: FaultProxy
    subject: Subject


class Cast:
    """Records on lines of every kind to the stage's mosquitto, and an onlooker there."""

    def __init__(self, stage: Stage, oracle: Oracle, open_ones: ExitStack) -> None:
        self.no_cables = namespace.why_not()
        self.onlooker = open_ones.enter_context(
            Observer(stage.mosquitto.port, ("+/backend/status",))
        )
        self._stage, self._oracle, self._open = stage, oracle, open_ones
        self.stalling = self._part()
        self.bad = {name: self._part(flaws=flaws) for name, flaws in BAD_LINES.items()}
        self.cabled: list[Part] = []
        if self.no_cables is None:
            self.cable, self.one_way, self.lossy = self._cable(), self._cable(), self._cable()
            self.cabled = [self._part(self.cable) for _ in range(CABLED)]
            self.deaf = self._part(self.one_way)
            self.bad["5 % of packets lost"] = self._part(self.lossy)
            self.lossy.loss = 0.05
        self.started = time.monotonic()

    def _cable(self) -> Cable:
        return self._open.enter_context(Cable())

    def _part(self, cable: Cable | None = None, flaws: Mapping[str, float] | None = None) -> Part:
        port = self._stage.mosquitto.port
        proxy = FaultProxy(port) if cable is None else FaultProxy(port, cable.far, cable.listen)
        self._open.enter_context(proxy)
        for name, value in (flaws or {}).items():
            setattr(proxy, name, value)
        columns = {"host": proxy.host, "keepalive_s": KEEPALIVE}
        return Part(proxy, self._oracle.add(proxy.port, **columns))

    def needs_cables(self) -> None:
        """Skip the test where this machine has no networks to cut."""
        if self.no_cables:
            pytest.skip(self.no_cables)


@pytest.fixture(scope="module")
def cast(stage: Stage) -> Iterator[Cast]:
    with ExitStack() as open_ones, Oracle(stage) as oracle:
        made = Cast(stage, oracle, open_ones)
        for subject in oracle.subjects:
            subject.wait(State.CONNECTED, seconds=15.0)
        yield made


def _lost_after(subject: Subject, moment: datetime) -> float:
    """Return how long after `moment` the worker gave the broker up."""
    return (subject.last("keepalive_timeout") - moment).total_seconds()


@pytest.mark.timing
def test_b9_a_stalled_line_is_noticed_by_the_keep_alive(cast: Cast) -> None:
    part = cast.stalling
    at = datetime.now(UTC)
    part.proxy.stall()
    part.subject.wait(None, "keepalive_timeout", SILENCE + TOLD_WITHIN)
    took = _lost_after(part.subject, at)
    assert took <= SILENCE + PUNCTUAL
    note("B9", f"half-open, Keep Alive {KEEPALIVE} s: noticed after", took)
    part.proxy.resume()
    part.subject.wait(State.CONNECTED, seconds=BACK_LIMIT)


def test_b9_a_fin_one_way_is_the_end(oracle: Oracle, scripted_broker: ScriptedBroker) -> None:
    scripted_broker.script = Script(close_after=0.5, half=True)
    subject = oracle.add(scripted_broker.port)
    subject.wait(State.BACKOFF, "peer_closed")
    scripted_broker.script = GOOD
    scripted_broker.wait(lambda: scripted_broker.sessions[0].closed_at)
    first = scripted_broker.sessions[0]
    assert first.closed_at is not None
    note("B9", "FIN one way after 0.5 s: closed by us after", first.closed_at - first.opened_at)
    subject.wait(State.CONNECTED, seconds=BACK_LIMIT)
    assert scripted_broker.open_now == 1


@pytest.mark.timing
def test_b9_a_line_that_carries_one_way_only_is_noticed_by_the_keep_alive(cast: Cast) -> None:
    cast.needs_cables()
    at = datetime.now(UTC)
    cast.one_way.carries_back = False
    cast.deaf.subject.wait(None, "keepalive_timeout", SILENCE + TOLD_WITHIN)
    took = _lost_after(cast.deaf.subject, at)
    assert took <= SILENCE + PUNCTUAL
    note("B9", f"nothing comes back, Keep Alive {KEEPALIVE} s: noticed after", took)
    cast.one_way.mend()
    cast.deaf.subject.wait(State.CONNECTED, seconds=BACK_LIMIT)


@pytest.mark.timing
@pytest.mark.parametrize("number", range(CUTS))
def test_b10_a_dead_network_is_seen_by_both_sides_and_survived(cast: Cast, number: int) -> None:
    cast.needs_cables()
    # A session that has lasted, in any phase of the Keep Alive and of the broker's own clock.
    time.sleep(STABLE_AFTER + random.uniform(0, KEEPALIVE) if number else 0)
    at, cut_at = datetime.now(UTC), time.monotonic()
    cast.cable.cut()
    for part in cast.cabled:
        part.subject.wait(None, "keepalive_timeout", SILENCE + TOLD_WITHIN)
    noticed = [_lost_after(part.subject, at) for part in cast.cabled]
    wills = [_will(cast, part.subject, cut_at) for part in cast.cabled]
    mended_at = time.monotonic()
    cast.cable.mend()
    for part in cast.cabled:
        part.subject.wait(State.CONNECTED, seconds=BACK_LIMIT)
    back = [_online(cast, part.subject, mended_at) for part in cast.cabled]
    note("B10", f"Keep Alive {KEEPALIVE} s: noticed by the client after at most", max(noticed))
    note("B10", f"Keep Alive {KEEPALIVE} s: will seen by others after at most", max(wills))
    note("B10", "online again after the network's return, at most", max(back))
    assert max(noticed) <= SILENCE + PUNCTUAL
    assert max(wills) <= WILL_LIMIT


def _will(cast: Cast, subject: Subject, after: float) -> float:
    topic = f"{subject.name}/backend/status"
    return cast.onlooker.wait_for(topic, b"offline", 20.0, after).at - after


def _online(cast: Cast, subject: Subject, after: float) -> float:
    topic = f"{subject.name}/backend/status"
    return cast.onlooker.wait_for(topic, b"online", BACK_LIMIT, after).at - after


def test_b12_bad_lines_are_no_reason_to_give_a_broker_up(cast: Cast) -> None:
    over = partial(lambda end: time.monotonic() > end, cast.started + WATCHED)
    wait_until(over, WATCHED + 1, "the end of the watch")
    for name, part in cast.bad.items():
        states = [state for state, _ in part.subject.events()]
        assert states == [State.CONNECTING, State.CONNECTED], name
        said = cast.onlooker.of(f"{part.subject.name}/backend/status")
        assert {message.payload for message in said} == {b"online"}, name
    watched = time.monotonic() - cast.started
    note("B12", f"sessions lost on {len(cast.bad)} bad lines in {watched:.0f} s", 0, "")
