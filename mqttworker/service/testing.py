"""Tests connections on request: reads what to test, takes turns, reports progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import gevent
from gevent.event import Event as Signal
from gevent.lock import BoundedSemaphore
from sqlalchemy.exc import SQLAlchemyError

from mqttworker.core import records
from mqttworker.core.cause import cause
from mqttworker.core.spec import ConnectionSpec, Record
from mqttworker.ports.transport import Transport
from mqttworker.service.manager import MQTTConnectionManager
from mqttworker.service.probe import Probe
from mqttworker.service.shared_logins import SharedLogins

#: Tests that run at once; more would get in each other's way, and in that of connections.
AT_ONCE = 8
#: Shortest time between two reports of progress, seconds.
REPORT_INTERVAL = 0.25
#: How long a session may take to say goodbye before its client id is used anyway, seconds.
REST_WAIT = 2.0

Result = dict[str, Any]
Report = Callable[[Result], None]


class Tester:
    """Runs tests of records that nobody has stored."""

    def __init__(
        self,
        transport: Transport,
        hostname: str,
        managers: Callable[[], Iterable[MQTTConnectionManager]],
        logins: SharedLogins,
    ) -> None:
        self._transport = transport
        self._hostname = hostname
        self._managers = managers
        self._logins = logins
        self._seats = BoundedSemaphore(AT_ONCE)
        #: One at a time: two tests with one client id would throw each other out.
        self._real_id_seat = BoundedSemaphore(1)
        self._is_ending = False

    def end(self) -> None:
        """Let no live session come back from a pause: whoever ends the worker ends those."""
        self._is_ending = True

    def test(self, parameters: str | None, report: Report) -> Result:
        """Return the result of a test; `report` hears how far it is.

        `parameters` are JSON: `record` with the columns of `connection` and its secrets in
        clear, `subscriptions`, and `options` with `use_real_client_id`.
        """
        asked = _read(parameters, self._hostname)
        if asked is None:
            return {"code": "broken_parameters", "detail": {}}
        record, use_real_id = asked
        if record.spec is None:
            return _refused(record)
        if other := self._would_end(record.spec, use_real_id=use_real_id):
            return {"code": "test_would_end_session", "detail": {"other": other}}
        if not use_real_id:
            with self._seats:
                return self._play(Probe, record.spec, report)
        if not record.spec.clean_session:
            return {"code": "real_id_keeps_session", "detail": {}}
        with self._seats, self._real_id_seat, self._paused(record.spec):
            return self._play(_with_real_id, record.spec, report)

    def _play(self, make: Callable[..., Probe], spec: ConnectionSpec, report: Report) -> Result:
        changed = Signal()
        probe = make(self._transport, spec, on_change=changed.set, logins=self._logins)
        running = gevent.spawn(probe.run)
        running.link(lambda _greenlet: changed.set())
        try:
            while not running.ready():
                changed.wait()
                changed.clear()
                _tell(report, probe.as_json())
                running.join(REPORT_INTERVAL)
            running.get()
        finally:
            running.kill()
        return probe.as_json()

    def _would_end(self, spec: ConnectionSpec, *, use_real_id: bool) -> str:
        """Return which connection's session a test would end, as an earlier one did, or "".

        Those with the real client id are stopped for the test, where it asks for that.
        """
        stopped = {each for each in self._managers() if use_real_id and _is_same(each, spec)}
        in_the_way = (each for each in self._logins.in_the_way(spec) if each not in stopped)
        return next((each.name for each in in_the_way if each.name), "")

    @contextmanager
    def _paused(self, spec: ConnectionSpec) -> Iterator[None]:
        """Take the live sessions with this client id off the broker meanwhile."""
        why = cause("operator_test")
        pauses = [manager.pause(why) for manager in self._managers() if _is_same(manager, spec)]
        try:
            gevent.wait([pause.rests for pause in pauses], timeout=REST_WAIT)
            yield
        finally:
            for pause in [] if self._is_ending else pauses:
                pause.is_over.set()


def _with_real_id(*args: Any, **options: Any) -> Probe:
    return Probe(*args, use_real_id=True, **options)


def _is_same(manager: MQTTConnectionManager, spec: ConnectionSpec) -> bool:
    """Whether a broker would take both for one client."""
    own = manager.record.spec
    return own is not None and (own.broker, own.client_id) == (spec.broker, spec.client_id)


def _read(parameters: str | None, hostname: str) -> tuple[Record, bool] | None:
    """Return what to test and whether under its real client id; None if it cannot be read."""
    try:
        asked: Mapping[str, Any] = json.loads(parameters or "")
        row = {"id": 0, "revision": 0, **asked["record"]}
        record = records.parse(
            row, asked["subscriptions"], hostname=hostname, decrypt=lambda secret: secret
        )
        return record, bool(asked["options"]["use_real_client_id"])
    except (ValueError, KeyError, TypeError):
        return None


def _refused(record: Record) -> Result:
    assert record.flaw is not None, "a record is usable or has a flaw"
    return {"code": record.flaw.code, "detail": dict(record.flaw.detail), "verdict": "failed"}


def _tell(report: Report, result: Result) -> None:
    # Only the end of a test is written until it is taken.
    with suppress(SQLAlchemyError):
        report(result)
