"""The monitor frees what nothing else would move: no record waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import gevent
import pytest
from sqlalchemy import Engine, select

from database.models import ConnectionStatus
from database.words import ConnectionState as State
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.core import events
from mqttworker.core.cause import cause
from mqttworker.core.life import CONNECT_SLACK
from mqttworker.core.limiter import ASK_AGAIN, ConnectLimiter
from mqttworker.core.plan import Plan
from mqttworker.core.room import Room
from mqttworker.core.spec import ConnectionSpec, Record
from mqttworker.core.who import Who
from mqttworker.ports.store import Store
from mqttworker.service import doors
from mqttworker.service.context import Clock, Context
from mqttworker.service.doors import Doors
from mqttworker.service.fleet import Fleet
from mqttworker.service.intake import Intake
from mqttworker.service.journal import Journal
from mqttworker.service.manager import OVERDUE, MQTTConnectionManager
from mqttworker.service.monitor import Monitor
from mqttworker.service.shared_logins import SharedLogins
from mqttworker.service.threads import in_thread
from tests.worker.service.worker import ONE_DATABASE

pytestmark = ONE_DATABASE

SPEC = ConnectionSpec(7, "fake.example", 1883, "site_88_host", protocol="5", connect_timeout_s=0.5)
RECORD = Record(7, "plant", 1, SPEC)


class Faulty(FakeTransport):
    """Breaks a promise now and then."""

    raises = 0
    answers_knocks = True

    def open(self, *args: Any, **options: Any) -> Any:
        """Begin to connect, or raise."""
        if self.raises:
            self.raises -= 1
            msg = "a fault of our own"
            raise RuntimeError(msg)
        return super().open(*args, **options)

    def knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        """Answer, or never."""
        if self.answers_knocks:
            super().knock(spec, answer)


class Scene:
    """A monitor with one connection to a broker in memory; its journal waits for a flush."""

    def __init__(self, engine: Engine) -> None:
        self.store = store = Store(engine, boot_id="boot", hostname="host")
        self.broker, self.elsewhere = FakeBroker(), FakeBroker("other.example")
        self.transport = Faulty(self.broker, self.elsewhere)
        self.journal = Journal(store.facts, lambda: None)
        self.limiter = ConnectLimiter(400)
        self.may_connect = True
        #: Seconds that our clock is ahead of the real one.
        self.ahead = 0.0
        clock = Clock(lambda: Clock().now() + self.ahead)
        context = Context(
            self.transport,
            self.journal,
            Fleet(self.limiter, clock.now),
            lambda: self.may_connect,
            Doors(self.transport),
            SharedLogins(clock.now),
            Intake(store.messages, Room(1_000, 1_000_000), clock, lambda: None),
            Who("host-1", "host", 1, "boot"),
            clock=clock,
        )
        self.monitor = Monitor(store.wishes, context, 30.0)

    def start(self) -> None:
        self.monitor.apply(Plan(start=(RECORD,)), cause("enabled"))

    @property
    def manager(self) -> MQTTConnectionManager:
        return self.monitor.managers[7]

    def wait(self, state: State, seconds: float = 5.0) -> None:
        with gevent.Timeout(seconds, AssertionError(f"not {state}")):
            while self.manager.state is not state:
                gevent.sleep(0.01)


@pytest.fixture
def scene(engine: Engine) -> Iterator[Scene]:
    made = Scene(engine)
    yield made
    for manager in list(made.monitor.managers.values()):
        manager.stop(cause("worker_shutdown"))
        if manager.greenlet is not None:
            manager.greenlet.join(5.0)


def test_a_connection_whose_greenlet_died_is_started_afresh(scene: Scene) -> None:
    scene.transport.raises = 1
    scene.start()
    dead = scene.manager
    assert dead.greenlet is not None
    dead.greenlet.join(5.0)
    assert scene.manager is dead
    scene.monitor.check_all()
    scene.wait(State.CONNECTED)
    assert scene.manager is not dead
    scene.monitor.apply(Plan(stop=(7,)), cause("disabled"))
    gevent.sleep(0.1)
    assert scene.monitor.managers == {}


def test_a_connection_that_died_while_it_waited_is_called_no_more(scene: Scene) -> None:
    scene.broker.is_listening = False
    scene.start()
    scene.wait(State.BACKOFF)
    assert scene.manager.greenlet is not None
    scene.manager.greenlet.kill()
    moved = replace(RECORD, spec=replace(SPEC, host="other.example"))
    scene.monitor.apply(Plan(restart=(moved,)), cause("enabled"))
    scene.monitor.check_all()
    scene.ahead += 2.0
    scene.manager.post(events.Due())
    scene.wait(State.CONNECTED)
    scene.broker.start()
    another = Record(8, "neighbour", 1, replace(SPEC, connection_id=8, client_id="another"))
    scene.monitor.apply(Plan(start=(another,)), cause("enabled"))
    gevent.sleep(0.1)
    theirs = scene.monitor.managers[8]
    assert theirs.greenlet is not None
    assert (theirs.state, theirs.greenlet.dead) == (State.CONNECTED, False)


def test_a_connection_that_is_switched_off_and_on_keeps_the_second_between_two_connects(
    scene: Scene,
) -> None:
    scene.start()
    for _ in range(3):
        scene.wait(State.CONNECTED)
        scene.monitor.apply(Plan(stop=(7,)), cause("disabled"))
        with gevent.Timeout(5.0):
            while scene.monitor.managers:
                gevent.sleep(0.01)
        scene.start()
        assert len(scene.broker.tries) == 1
        scene.wait(State.PENDING)
        scene.broker.tries.clear()
        scene.ahead += 1.0
        scene.manager.post(events.Due())


def test_a_session_that_ended_without_a_word_is_lost(scene: Scene) -> None:
    scene.start()
    scene.wait(State.CONNECTED)
    scene.manager.abort()
    scene.monitor.check_all()
    scene.wait(State.BACKOFF)


def test_a_knock_that_is_never_answered_holds_nobody_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "ANSWER_TIMEOUT", 0.1)
    scene.start()
    scene.wait(State.CONNECTED)
    scene.transport.answers_knocks = False
    scene.broker.kick("site_88_host")
    scene.wait(State.BACKOFF)


def test_a_try_that_never_ends_is_given_up_and_repeated(scene: Scene) -> None:
    silent = replace(SPEC, connect_timeout_s=1000.0)
    scene.broker.freeze()
    scene.monitor.apply(Plan(start=(replace(RECORD, spec=silent),)), cause("enabled"))
    gevent.sleep(0.05)
    assert scene.manager.state is State.CONNECTING
    # The machine was suspended: the greenlet's own timer is late, the monitor is not.
    scene.ahead = 1000.0 + CONNECT_SLACK + OVERDUE + 1.0
    scene.monitor.check_all()
    scene.wait(State.BACKOFF)


def test_two_edits_in_a_row_do_not_end_a_connection(scene: Scene) -> None:
    scene.broker.is_listening = False
    scene.start()
    scene.wait(State.BACKOFF)
    for revision in (2, 3):
        scene.monitor.apply(Plan(restart=(replace(RECORD, revision=revision),)), cause("enabled"))
    scene.broker.start()
    scene.ahead += 1.0
    scene.wait(State.CONNECTED)
    assert scene.manager.record.revision == 3


def test_a_note_that_comes_while_an_edit_is_being_applied_counts_after_it(scene: Scene) -> None:
    scene.start()
    scene.wait(State.CONNECTED)
    moved = replace(RECORD, revision=2, spec=replace(SPEC, username="another"))
    noted = replace(moved, revision=3, name="by the door")
    scene.monitor.apply(Plan(restart=(moved,)), cause("enabled"))
    scene.monitor.apply(Plan(touch=(noted,)), cause("enabled"))
    # The session that is being ended is still what it was.
    assert scene.manager.record == RECORD
    with gevent.Timeout(5.0, AssertionError("the note was lost")):
        while scene.manager.record != noted:
            gevent.sleep(0.01)
    scene.wait(State.CONNECTED)
    assert scene.manager.status().applied_revision == 3


def test_a_note_at_thousands_of_records_holds_nobody_up(scene: Scene) -> None:
    flaw = cause("config_error", field="port", problem="none")
    records = [Record(number, "plant", 1, flaw=flaw) for number in range(4_000)]
    scene.monitor.apply(Plan(start=tuple(records)), cause("enabled"))
    noted = tuple(replace(record, revision=2) for record in records)
    stalls = [0.0]

    def look() -> None:
        while True:
            # Its own time: what else the machine does is not counted.
            before = time.thread_time()
            gevent.sleep(0)
            stalls.append(time.thread_time() - before)

    looking = gevent.spawn(look)
    gevent.sleep(0)
    scene.monitor.apply(Plan(touch=noted), cause("enabled"))
    gevent.sleep(0)
    looking.kill()
    assert {manager.record.revision for manager in scene.monitor.managers.values()} == {2}
    assert max(stalls) < 0.25


def test_a_test_does_not_bring_a_disabled_connection_back(scene: Scene) -> None:
    scene.start()
    scene.wait(State.CONNECTED)
    manager = scene.manager
    scene.monitor.apply(Plan(stop=(7,)), cause("disabled"))
    pause = manager.pause(cause("operator_test"))
    assert pause.rests.wait(5.0)
    pause.is_over.set()
    assert manager.greenlet is not None
    manager.greenlet.join(5.0)
    assert manager.state is State.DISABLED
    assert scene.monitor.managers == {}
    assert len(scene.broker.tries) == 1


def test_a_try_that_is_put_off_is_told_with_its_new_moment(scene: Scene, engine: Engine) -> None:
    assert in_thread(scene.store.presence.hold_lease, 60.0, 6.0, None).is_held
    scene.broker.is_listening = False
    scene.start()
    scene.wait(State.BACKOFF)
    for other in range(200):
        scene.limiter.promise(SPEC.broker, 100 + other, Clock().now())
    scene.ahead += 2.0
    scene.manager.post(events.Due())
    gevent.sleep(0.1)
    assert scene.journal.flush()
    with engine.connect() as transaction:
        row = transaction.execute(select(ConnectionStatus.__table__)).one()
    left = (row.next_attempt_at - datetime.now(UTC)).total_seconds()
    assert left == pytest.approx(ASK_AGAIN, abs=0.5)


def test_nothing_but_the_lease_lets_a_try_begin(scene: Scene) -> None:
    scene.broker.is_listening = False
    scene.start()
    scene.wait(State.BACKOFF)
    scene.may_connect = False
    scene.broker.start()
    scene.ahead += 5.0
    scene.manager.post(events.Due())
    gevent.sleep(0.1)
    assert scene.manager.state is State.BACKOFF
    scene.may_connect = True
    scene.wait(State.CONNECTED)
