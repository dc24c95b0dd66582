"""Row P10: the clock of the worker's machine is set; the database has its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database.words import ConnectionState as State
from tests.faults.conftest import a_stage
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support.databases import Databases
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GOOD, NO_CONNACK
from webapp.picture.overview import GRACE_S

#: How wrong the clock is set, one after the other, seconds.
AHEAD, BEHIND = 3600, -86_400
#: Tries of a record that are awaited after each jump, and the deadline of each, seconds.
TRIES, TIMEOUT = 8 if LONG else 1, 1
#: What a timer may be late by on a busy machine, seconds.
PUNCTUAL = 0.5
#: The longest backoff, seconds.
LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Clock:
    """A stage whose worker has a wall clock of its own."""

    stage: Stage
    file: Path

    def set_wrong(self, seconds: int) -> None:
        """Set the worker's clock wrong; it takes a moment."""
        self.file.write_text(str(seconds), encoding="ascii")

    def wait_until_told(self, seconds: int, witness: Subject) -> None:
        """Return when the worker writes times that are so wrong about a record."""

        def told() -> bool:
            wrong = witness.status().since - datetime.now(UTC)
            return bool(abs(wrong - timedelta(seconds=seconds)) < timedelta(minutes=1))

        witness.wait(None, "connack_timeout")
        self.stage.wait_for(told, LONGEST_WAIT, f"the jump by {seconds} s")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory, sqlite_databases: Databases) -> Iterator[Clock]:
    directory = tmp_path_factory.mktemp("clock")
    file = directory / "seconds"
    file.write_text("0", encoding="ascii")
    program = ("tests.faults.jumping_worker", str(file))
    with a_stage(directory, sqlite_databases, program) as stage:
        yield Clock(stage, file)


@pytest.mark.timing
def test_p10_a_clock_that_is_set_disturbs_no_connection_and_no_timer(clock: Clock) -> None:
    stage = clock.stage
    with ExitStack() as open_ones:
        deaf = open_ones.enter_context(ScriptedBroker(NO_CONNACK))
        onlooker = open_ones.enter_context(Observer(stage.mosquitto.port, ("+/backend/status",)))
        oracle = open_ones.enter_context(Oracle(stage))
        for seconds in (AHEAD, BEHIND):
            clock.set_wrong(seconds)
            clock.wait_until_told(seconds, oracle.add(deaf.port, connect_timeout_s=TIMEOUT))
            deaf.wait_for_connects(len(deaf.connects) + TRIES, TRIES * LONGEST_WAIT)
        _check_deadlines(deaf)
        note("P10", "oldest heartbeat, clock of the worker +1 h, -1 d", oracle.oldest_beat_s)
        said = {message.payload for message in onlooker.messages}
        assert said == {b"online"}


def _check_deadlines(deaf: ScriptedBroker) -> None:
    ended = [each.closed_at - each.opened_at for each in deaf.sessions if each.closed_at]
    assert len(ended) >= 2
    assert ended == pytest.approx([TIMEOUT] * len(ended), abs=PUNCTUAL)


@pytest.mark.parametrize("seconds", [AHEAD, BEHIND])
def test_p10_an_alarm_comes_in_time_whatever_the_workers_clock_says(
    clock: Clock, seconds: int
) -> None:
    stage = clock.stage
    with ScriptedBroker() as broker, Oracle(stage) as oracle:
        clock.set_wrong(seconds)
        subject = oracle.add(broker.port)
        subject.wait(State.CONNECTED)
        broker.script = NO_CONNACK
        broker.sessions[0].close()
        lost_at = time.monotonic()
        stage.wait_for(
            lambda: stage.health()["status"] == "warn", GRACE_S + TOLD_WITHIN, "a warning"
        )
        note("P10", f"clock {seconds:+d} s: warning after", time.monotonic() - lost_at)
        broker.script = GOOD
        subject.wait(State.CONNECTED, seconds=LONGEST_WAIT)
        assert stage.health()["status"] == "pass"
