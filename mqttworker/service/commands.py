"""Does what the web asks for: each command once, in a greenlet of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
import structlog
from sqlalchemy.exc import SQLAlchemyError

from database.words import WAITING_STATES, CommandKind, ConnectionState
from mqttworker.core.cause import cause
from mqttworker.core.events import Reconnect
from mqttworker.ports.store import Commands, LeaseLostError, Order
from mqttworker.service.manager import MQTTConnectionManager
from mqttworker.service.publishing import publish
from mqttworker.service.testing import Tester
from mqttworker.service.threads import ThreadShare, in_thread

log = structlog.get_logger(__name__)

#: Time between two looks for commands, seconds.
COMMAND_INTERVAL = 0.5
#: Wait before a result is written again that the database did not take, seconds.
RETRY = 1.0
#: Results that are written at once: many more would keep all else from the database.
WRITTEN_AT_ONCE = 2


class Answer(NamedTuple):
    """What became of a command."""

    worked: bool
    result: dict[str, Any]


def answer(code: str, *, worked: bool = False, **detail: Any) -> Answer:
    """Return an answer that one sentence of `database.outcomes` says."""
    return Answer(worked, {"code": code, "detail": detail})


Find = Callable[[int | None], MQTTConnectionManager | None]


class CommandRunner:
    """Takes commands from the store, runs them, and writes what became of them."""

    def __init__(self, store: Commands, find: Find, tester: Tester) -> None:
        self._store = store
        self._find = find
        self._tester = tester
        self._writing = ThreadShare(WRITTEN_AT_ONCE)
        self._running: set[gevent.Greenlet[..., None]] = set()

    def poll(self) -> None:
        """Accept new commands and begin to run them. Raises SQLAlchemyError, LeaseLostError."""
        for order in in_thread(self._store.accept_new):
            greenlet = gevent.spawn(self._run, order)
            greenlet.name = f"command[{order.id}]"
            self._running.add(greenlet)
            greenlet.link(self._running.discard)

    def prune(self) -> None:
        """Forget old results. Raises SQLAlchemyError, LeaseLostError."""
        in_thread(self._store.prune)

    def end(self) -> None:
        """End what runs; tests drop their sockets."""
        self._tester.end()
        gevent.killall(list(self._running))

    def _run(self, order: Order) -> None:
        """Run one command; whatever goes wrong is its result and harms nobody else."""
        try:
            worked, result = self._answer(order)
        except LeaseLostError:
            return
        except Exception as error:
            log.exception("a command failed", command=order.id, kind=order.kind)
            worked, result = answer("internal_error", error=type(error).__name__)
        log.info(
            "command",
            command=order.id,
            kind=order.kind,
            connection_id=order.connection_id,
            result=result["code"],
        )
        self._write(order, result, worked=worked)

    def _write(self, order: Order, result: dict[str, Any], *, worked: bool) -> None:
        while True:
            try:
                self._writing.do(self._store.finish, order.id, result, worked=worked)
            except LeaseLostError:
                return
            except SQLAlchemyError:
                gevent.sleep(RETRY)
            else:
                return

    def _answer(self, order: Order) -> Answer:
        if order.is_too_old:
            return answer("too_old")
        if order.kind == CommandKind.TEST:
            return self._test(order)
        if order.kind not in {*_DEEDS, CommandKind.PUBLISH}:
            return answer("unknown_command", kind=order.kind[:40])
        manager = self._find(order.connection_id)
        if manager is None:
            return answer("not_run")
        if order.kind == CommandKind.PUBLISH:
            return Answer(*publish(manager, order.parameters))
        return _DEEDS[order.kind](manager)

    def _test(self, order: Order) -> Answer:
        def progress(result: dict[str, Any]) -> None:
            self._writing.do(self._store.progress, order.id, result)

        result = self._tester.test(order.parameters, progress)
        return Answer(result.get("verdict") in {"ok", "warning"}, result)


def _reconnect(manager: MQTTConnectionManager) -> Answer:
    if manager.state is ConnectionState.CONFIG_ERROR:
        return answer("not_usable")
    if manager.state is ConnectionState.STOPPING:
        return answer("being_stopped")
    manager.post(Reconnect(cause("operator_reconnect")))
    return answer("reconnecting", worked=True)


def _clear_cooldown(manager: MQTTConnectionManager) -> Answer:
    if manager.state not in WAITING_STATES:
        return answer("nothing_to_clear", worked=True)
    manager.post(Reconnect(cause("operator_reconnect")))
    return answer("cooldown_cleared", worked=True)


_DEEDS = {
    CommandKind.RECONNECT.value: _reconnect,
    CommandKind.CLEAR_COOLDOWN.value: _clear_cooldown,
}
