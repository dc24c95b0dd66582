"""A goodbye: `offline`, its PUBACK, DISCONNECT, in that order and in bounded time."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable

import pytest

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.events import Closed, Opened
from mqttworker.core.spec import SubscriptionSpec, TLSSettings
from tests.support import scripts
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.process import free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.sessions import in_thread, settle, spec_for, tasks_left

QUICK = 0.5  # seconds
VERSIONS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@VERSIONS
def test_a_goodbye_is_complete(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    attempt = open_try(spec_for(scripted_broker.port), protocol)
    attempt.opened()
    assert attempt.close() < QUICK
    session = scripted_broker.sessions[0]
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    assert [message.payload for message in session.publishes] == [b"online", b"offline"]
    assert (session.ending, session.disconnect_code) == ("disconnect", 0)
    assert [type(event) for event in attempt.events] == [Opened, Closed]


@pytest.mark.timing
def test_disconnect_waits_for_the_puback(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = scripts.NO_PUBACK
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.opened()
    took = attempt.close(grace=0.3)
    assert 0.3 <= took < 0.3 + QUICK
    session = scripted_broker.sessions[0]
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    # No DISCONNECT: the broker publishes the will, which says the same as the lost `offline`.
    assert session.disconnect_code is None


def test_a_session_without_status_topic_says_only_disconnect(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    attempt = open_try(spec_for(scripted_broker.port, status_topic=""))
    attempt.opened()
    attempt.close()
    session = scripted_broker.sessions[0]
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    assert (session.publishes, session.ending) == ([], "disconnect")
    assert session.connect is not None
    assert session.connect.will is None


def _server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    return context


@pytest.mark.alone
@pytest.mark.parametrize("unsent", [0, 8_000_000])
@pytest.mark.parametrize("with_tls", [False, True])
def test_a_frozen_broker_does_not_hold_the_goodbye_up(
    open_try: OpenTry, certificates: Certificates, with_tls: bool, unsent: int
) -> None:
    tls = TLSSettings(ca_pem=certificates.ca.certificate_pem) if with_tls else None
    with DeafBroker(_server_context(certificates) if with_tls else None) as broker:
        attempt = open_try(spec_for(broker.port, tls=tls, online_payload="x" * unsent))
        attempt.opened()
        # Behind so much unsent data `offline` would come too late; the will says the same.
        assert (0.0 if unsent else 0.3) <= attempt.close(grace=0.3) < 0.6


def test_a_loss_during_the_goodbye_ends_it(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = scripts.NO_PUBACK
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.opened()
    attempt.session.close(5.0)
    session = scripted_broker.sessions[0]
    in_thread(scripted_broker.wait, lambda: len(session.publishes) == 2)
    session.close()
    attempt.first(Closed, QUICK)
    assert [type(event) for event in attempt.events] == [Opened, Closed]


@pytest.mark.parametrize("script", [scripts.SILENT, scripts.NO_CONNACK, scripts.NO_SUBACK])
def test_a_try_can_be_closed(
    scripted_broker: ScriptedBroker, open_try: OpenTry, script: Script
) -> None:
    scripted_broker.script = script
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=(SubscriptionSpec("a", 0),)))
    in_thread(scripted_broker.wait, lambda: scripted_broker.sessions)
    assert attempt.close() < QUICK
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert [type(event) for event in attempt.events] == [Closed]


def test_a_second_close_changes_nothing(scripted_broker: ScriptedBroker, open_try: OpenTry) -> None:
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.opened()
    attempt.session.close(2.0)
    attempt.close()
    assert [type(event) for event in attempt.events] == [Opened, Closed]


# --- abort ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [scripts.SILENT, scripts.NO_CONNACK, scripts.NO_SUBACK, scripts.GOOD, scripts.NO_PUBACK],
)
def test_an_abort_drops_the_socket_and_says_nothing(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop, script: Script
) -> None:
    scripted_broker.script = script
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=(SubscriptionSpec("a", 0),)))
    if script in {scripts.GOOD, scripts.NO_PUBACK}:
        attempt.opened()
    in_thread(scripted_broker.wait, lambda: scripted_broker.sessions)
    before = list(attempt.events)
    attempt.session.abort()
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert tasks_left(hub_loop) == set()
    assert attempt.events == before
    assert scripted_broker.sessions[0].ending != "disconnect"


def test_an_abort_ends_a_goodbye(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop
) -> None:
    scripted_broker.script = scripts.NO_PUBACK
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.opened()
    attempt.session.close(5.0)
    settle(hub_loop)
    attempt.session.abort()
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert tasks_left(hub_loop) == set()
    assert [type(event) for event in attempt.events] == [Opened]


def test_an_abort_before_anything_happened_opens_nothing(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop
) -> None:
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.session.abort()
    settle(hub_loop)
    assert (attempt.events, scripted_broker.sessions) == ([], [])


# --- what is left -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        scripts.GOOD,
        scripts.SILENT,
        scripts.CLOSE_BEFORE_CONNACK,
        scripts.GARBAGE,
        scripts.refuse(0x87),
        scripts.close_after(0.0),
        scripts.taken_over(0.01),
    ],
)
def test_no_task_and_no_timer_outlives_a_session(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop, script: Script
) -> None:
    scripted_broker.script = script
    attempt = open_try(spec_for(scripted_broker.port, connect_timeout_s=0.3, keepalive_s=60))
    attempt.wait(lambda: attempt.events)
    if script == scripts.GOOD:
        attempt.close()
    else:
        attempt.wait(lambda: not isinstance(attempt.events[-1], Opened))
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert tasks_left(hub_loop) == set()
    assert _live_timers(hub_loop.loop) == []


def _live_timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return [timer for timer in scheduled if not timer.cancelled()]


def test_many_sessions_leave_nothing_behind(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop
) -> None:
    from mqttworker.adapters.gmqtt_client import BrokerClient

    for _ in range(20):
        attempt = open_try(spec_for(scripted_broker.port))
        attempt.opened()
        attempt.close()
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    settle(hub_loop)
    gc.collect()
    alive = [item for item in gc.get_objects() if isinstance(item, BrokerClient)]
    # A session object keeps its client; no more than one each.
    assert len(alive) <= 20


# --- a real broker ------------------------------------------------------------------------


@pytest.mark.timing
@VERSIONS
def test_two_hundred_say_goodbye_together(
    mosquitto: Mosquitto, open_try: OpenTry, protocol: str
) -> None:
    tries = [open_try(spec_for(mosquitto.port), protocol) for _ in range(200)]
    for attempt in tries:
        attempt.opened()
    started = time.monotonic()
    for attempt in tries:
        attempt.session.close(2.0)
    for attempt in tries:
        attempt.first(Closed)
    assert time.monotonic() - started < 1.0
    observer = Observer(mosquitto.port)
    wanted = {attempt.spec.status_topic: b"offline" for attempt in tries}
    in_thread(_with, observer, lambda: observer.wait_for_latest(wanted))


def _with(observer: Observer, work: Callable[[], object]) -> None:
    with observer:
        work()


def test_closing_what_never_opened_is_quick(open_try: OpenTry) -> None:
    attempt = open_try(spec_for(free_port()))
    attempt.failure()
    attempt.session.close(2.0)
    attempt.first(Closed, QUICK)
