"""Row B14: two clients with one client id. Who fights for it how long: tests/worker/core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support.observer import Observer, retained
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GOOD, taken_over

#: How often we may throw another client out before we leave it alone.
MOST_TAKEOVERS = 3
#: The first cooldown where the broker names the other client, and where it is inferred, seconds.
COOLDOWN, INFERRED_COOLDOWN = 60.0, 10.0
#: Until another client that the broker does not name is inferred, seconds: for 31 of them a
#: session with another client id must stand.
FOUND_WITHIN = 55.0


@dataclass(frozen=True, slots=True)
class Cast:
    """A record whose broker names the rival, and one that has a rival on the stage's mosquitto."""

    broker: ScriptedBroker
    named: Subject
    fought: Subject
    onlooker: Observer


@pytest.fixture(scope="module")
def cast(stage: Stage) -> Iterator[Cast]:
    with ExitStack() as open_ones, Oracle(stage) as oracle:
        broker = open_ones.enter_context(ScriptedBroker(taken_over(0.5)))
        onlooker = open_ones.enter_context(Observer(stage.mosquitto.port, ("+/backend/status",)))
        yield Cast(broker, oracle.add(broker.port), oracle.add(stage.mosquitto.port), onlooker)


def _recovers(subject: Subject, by_itself: bool = LONG) -> float:
    """Return how long it takes to be back: by itself in the long form, else after an edit."""
    if not by_itself:
        subject.change(username="somebody")
    return subject.seconds_until(State.CONNECTED, None, COOLDOWN + TOLD_WITHIN)


def test_b14_a_rival_that_the_broker_names_is_left_alone_at_once(cast: Cast) -> None:
    cast.named.wait(State.COOLDOWN, "session_taken_over")
    row = cast.named.status()
    assert (row.certainty, row.raw_code) == ("certain", 0x8E)
    assert (row.next_attempt_at - row.since).total_seconds() == pytest.approx(COOLDOWN, abs=0.1)
    assert len(cast.broker.connects) == 1
    cast.broker.script = GOOD
    note("B14", "named rival gone: connected again after", _recovers(cast.named))


def test_b14_a_rival_that_keeps_coming_back_is_found_out_and_left_alone(cast: Cast) -> None:
    subject = cast.fought
    subject.wait(State.CONNECTED)
    client_id, topic = f"{subject.name}_{HOSTNAME}", f"{subject.name}/backend/status"
    with Observer(subject.stage.mosquitto.port, ("x",), client_id=client_id) as rival:
        took = subject.seconds_until(State.COOLDOWN, "duplicate_client_id", FOUND_WITHIN)
        takeovers = len(rival.lost_at)
    note("B14", "unnamed rival: found out after", took)
    note("B14", "unnamed rival: takeovers until then", takeovers, "")
    assert 1 <= takeovers <= MOST_TAKEOVERS
    row = subject.status()
    assert row.certainty == "inferred"
    wait = (row.next_attempt_at - row.since).total_seconds()
    assert wait == pytest.approx(INFERRED_COOLDOWN, abs=0.1)
    assert client_id in subject.told()["reason"]
    note("B14", "unnamed rival gone: connected again after", _recovers(subject, by_itself=True))
    # Each takeover published our will; what is left there in the end is the truth.
    cast.onlooker.wait_for_latest({topic: b"online"})
    assert retained(subject.stage.mosquitto.port, (topic,)) == {topic: b"online"}
