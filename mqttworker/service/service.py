"""The MQTT service: one permanent process, a singleton with `start` and `stop`."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import gevent
import structlog
from gevent.event import Event
from sqlalchemy.exc import SQLAlchemyError

from database import connect_error, readiness
from database.session import make_engine
from database.words import WorkerState
from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.lockfile import LockFile
from mqttworker.adapters.watchdog import end_now
from mqttworker.core.cause import cause
from mqttworker.core.limiter import ConnectLimiter
from mqttworker.core.room import Room
from mqttworker.ports.store import LeaseLostError, Presence, Store
from mqttworker.ports.store.retention import Retention
from mqttworker.service.commands import COMMAND_INTERVAL, CommandRunner
from mqttworker.service.context import Clock, Context
from mqttworker.service.doors import Doors
from mqttworker.service.fleet import Fleet
from mqttworker.service.heartbeat import Heartbeat, Identity
from mqttworker.service.helpers import Helpers
from mqttworker.service.housekeeping import (
    CLEAN_INTERVAL,
    LISTEN_INTERVAL,
    TRAFFIC_INTERVAL,
    Housekeeping,
)
from mqttworker.service.intake import Intake
from mqttworker.service.intake_watch import WATCH_INTERVAL, IntakeWatch
from mqttworker.service.journal import Journal
from mqttworker.service.lease import CHECK_INTERVAL, LEASE_INTERVAL, LeaseKeeper
from mqttworker.service.ledger import Ledger
from mqttworker.service.monitor import Monitor
from mqttworker.service.orphan import LOOK_INTERVAL, OrphanCare
from mqttworker.service.retention import RETENTION_INTERVAL, Keeper
from mqttworker.service.shared_logins import SharedLogins
from mqttworker.service.testing import Tester
from mqttworker.service.threads import in_thread
from mqttworker.service.vitals import Vitals
from mqttworker.settings import WorkerSettings

log = structlog.get_logger(__name__)

#: Connections of the database pool: as many as the hub has threads.
DATABASE_CONNECTIONS = 10
#: Longest statement, seconds; a lease must be able to fail before it runs out.
STATEMENT_TIMEOUT = 4.0
#: Share of the shutdown budget for the connections; the rest is for the last writes.
CLOSE_SHARE = 0.6
#: Share of it for storing what is left when the connections are gone.
DRAIN_SHARE = 0.15


class MQTTService:
    """Runs one connection manager for each enabled record until it is told to stop."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._clock = Clock()
        identity = Identity(settings.hostname, secrets.token_hex(16))
        url = settings.database_url.get_secret_value()
        engine = make_engine(
            url, pool_size=DATABASE_CONNECTIONS, statement_timeout_s=STATEMENT_TIMEOUT
        )
        # The lease must never wait behind other work.
        own_engine = make_engine(url, pool_size=1, statement_timeout_s=STATEMENT_TIMEOUT)
        self._store = Store(engine, boot_id=identity.boot_id, hostname=settings.hostname)
        self._vitals = Vitals(settings.home)
        self._hub_loop = HubLoop(on_wake=self._vitals.check)
        self._transport = BrokerTransport(
            self._hub_loop, max_packet_bytes=settings.max_packet_bytes
        )
        lock = LockFile(settings.home / "worker.lock")
        self._lease = LeaseKeeper(
            Presence(own_engine, identity.boot_id),
            lock,
            settings.heartbeat_stale_after,
            self._clock,
            self.fail,
        )
        self._journal = Journal(self._store.facts, self._lease.lost)
        room = Room(settings.message_queue_messages, settings.message_queue_bytes)
        self._intake = Intake(self._store.messages, room, self._clock, self._lease.lost)
        self._intake_watch = IntakeWatch(self._intake, self._clock)
        fleet = Fleet(ConnectLimiter(settings.connect_rate), self._clock.now)
        logins = SharedLogins(self._clock.now)
        context = Context(
            self._transport,
            self._journal,
            fleet,
            self._lease.may_connect,
            Doors(self._transport),
            logins,
            self._intake,
            identity.who,
            clock=self._clock,
        )
        self._monitor = Monitor(self._store.wishes, context, settings.monitor_interval)
        ledger = Ledger(self._store.traffic, context.moved, self._clock.wall)
        self._housekeeping = Housekeeping(
            self._store, self._monitor, self._transport, fleet, ledger
        )
        limits = {"days": settings.message_keep_days, "megabytes": settings.message_keep_mb}
        self._keeper = Keeper(Retention(engine, identity.boot_id, **limits))
        managers = self._monitor.managers
        self._commands = CommandRunner(
            self._store.commands,
            lambda connection_id: managers.get(connection_id or 0),
            Tester(self._transport, settings.hostname, lambda: list(managers.values()), logins),
        )
        self._heartbeat = Heartbeat(
            self._store.presence,
            identity,
            lambda: list(self._monitor.managers.values()),
            self._intake_watch.waiting,
        )
        self._helpers = Helpers(self.fail)
        #: What goes on while the service stops: sessions are closed under a lease.
        self._last_helpers = Helpers(self.fail)
        self._orphan_care = OrphanCare(self._lease, settings.home, self.ask_to_stop)
        #: Of the SQLite file to which everything about this worker was written.
        self._generation = 0
        self._ending = Event()
        self._failure: str | None = None

    # --- verbs

    def run(self) -> int:
        """Start, serve until asked to stop, stop; return the exit code of the process."""
        self.start()
        self._ending.wait()
        self.stop()
        return 1 if self._failure else 0

    def ask_to_stop(self) -> None:
        """Let `run` stop and return; safe in a signal handler."""
        self._ending.set()

    def look_after_a_freeze(self) -> None:
        """End at once if somebody may have taken over meanwhile; safe in a signal handler."""
        self._vitals.check()
        if self._lease.has_run_out():
            end_now("the worker was frozen until its lease ran out: it ends before it does harm")

    def fail(self, reason: str) -> None:
        """End the process because it cannot do its work; supervisord starts it afresh."""
        if self._failure is None:
            log.critical("the worker ends and must be started again", reason=reason)
            self._failure = reason
            if self._ending.is_set():
                # It was saying goodbye, under a lease that is gone.
                self._drop_connections()
        self._ending.set()

    def start(self) -> None:
        """Wait for the schema and the lease, then run the connections."""
        if (longest := self._settings.longest_stop) < self._settings.shutdown_timeout:
            log.warning(
                "HAWSER_SHUTDOWN_TIMEOUT is longer than supervisord waits", longest_stop_s=longest
            )
        self._helpers.watch("asyncio", self._hub_loop.start())
        self._helpers.watch("vitals", self._vitals.start())
        self._helpers.every("orphan care", LOOK_INTERVAL, self._orphan_care.look)
        self._helpers.spawn("start-up", self._start_up)

    def stop(self) -> None:
        """End all connections in parallel, write the last facts, release the lease.

        The whole takes at most `WorkerSettings.longest_stop`; what hangs is dropped.
        """
        started = self._clock.now()
        was_running = self._heartbeat.state is WorkerState.RUNNING
        if self._failure or not self._lease.held.is_set():
            self._last_helpers.end()
        self._helpers.end()
        self._commands.end()
        connections = len(self._monitor.managers)
        if self._failure:
            self._drop_connections()
        else:
            self._close_connections()
            # What came with QoS 0 nobody waits for: no session is held up by it.
            self._intake.drain(DRAIN_SHARE * self._settings.longest_stop)
        closed = self._clock.now()
        self._within_budget(started, lambda: self._write_last_facts(was_running))
        log.info(
            "stopped",
            connections=connections,
            closed_in_s=round(closed - started, 3),
            stopped_in_s=round(self._clock.now() - started, 3),
        )
        self._vitals.end()

    # --- starting

    def _start_up(self) -> None:
        self._wait_for_schema()
        self._helpers.spawn("hub watch", self._heartbeat.watch_hub)
        self._last_helpers.every("lease", LEASE_INTERVAL, self._keep_lease)
        self._last_helpers.every("lease watch", CHECK_INTERVAL, self._lease.check)
        self._last_helpers.every("heartbeat", self._settings.heartbeat_interval, self._beat)
        self._lease.held.wait()
        self._heartbeat.state = WorkerState.RUNNING
        _tolerating_database(self._heartbeat.beat)
        _tolerating_database(self._housekeeping.note_what_was_left)
        self._helpers.every("retention", RETENTION_INTERVAL, self._keeper.clean)
        # Goes on while the service stops: what was received is stored, or it comes again.
        self._helpers.watch("intake", gevent.spawn(self._intake.run))
        self._helpers.every("intake watch", WATCH_INTERVAL, self._intake_watch.look)
        self._helpers.spawn("journal", self._journal.run)
        self._helpers.spawn("monitor", self._monitor.monitor_connections)
        poll = self._settings.config_poll_interval
        self._helpers.every("configuration", poll, self._monitor.poll_config)
        self._helpers.every("commands", COMMAND_INTERVAL, self._commands.poll)
        for name, interval, work in (
            ("traffic", TRAFFIC_INTERVAL, self._housekeeping.write_traffic),
            ("expectations", LISTEN_INTERVAL, self._housekeeping.listen),
            ("clean-up", CLEAN_INTERVAL, self._housekeeping.clean),
            ("clean-up of commands", CLEAN_INTERVAL, self._commands.prune),
        ):
            self._helpers.every(name, interval, work, at_once=False)
        log.info("running")
        self._ending.wait()

    def _wait_for_schema(self) -> None:
        readiness.wait_until_ready(
            lambda: in_thread(self._store.wishes.schema_problem),
            gevent.sleep,
            lambda problem: log.warning("waiting for the database", problem=problem),
        )

    def _keep_lease(self) -> None:
        was_standby = self._lease.is_standby
        self._lease.renew()
        if self._lease.is_standby and not was_standby:
            # At once: an orphan waits for a standby to hand over to.
            self._beat()
        if (generation := self._store.generation) != self._generation:
            self._write_all_anew()
            self._generation = generation

    def _write_all_anew(self) -> None:
        """Write all states into a database file that was put in the place of ours."""
        log.warning("the SQLite file was replaced, going on with the new one")
        self._monitor.note_all()
        self._journal.flush()
        # After that: only what nobody looks after is left.
        self._housekeeping.note_what_was_left()
        self._beat()

    def _beat(self) -> None:
        if self._heartbeat.state is not WorkerState.RUNNING and self._lease.is_standby:
            self._heartbeat.state = WorkerState.STANDBY
        self._heartbeat.beat()

    # --- stopping

    def _close_connections(self) -> None:
        managers = list(self._monitor.managers.values())
        for manager in managers:
            manager.stop(cause("worker_shutdown"))
        greenlets = [manager.greenlet for manager in managers if manager.greenlet]
        gevent.joinall(greenlets, timeout=CLOSE_SHARE * self._settings.longest_stop)
        for manager in self._monitor.managers.values():
            log.warning("did not close in time, dropped", connection=manager.record.name)
            manager.abort()

    def _drop_connections(self) -> None:
        """Leave without a goodbye: whoever took over must not be thrown out by us."""
        for manager in self._monitor.managers.values():
            manager.abort()

    def _write_last_facts(self, was_running: bool) -> None:
        if was_running and not self._failure:
            self._journal.flush()
            _tolerating_database(self._housekeeping.write_traffic)
        self._last_helpers.end()
        if was_running and not self._failure:
            self._lease.release()
        self._heartbeat.enter(WorkerState.STOPPED)

    def _within_budget(self, started: float, work: Callable[[], object]) -> None:
        left = self._settings.longest_stop - (self._clock.now() - started)
        greenlet = gevent.spawn(_tolerating_database, work)
        greenlet.join(timeout=max(0.1, left - 0.3))


def _tolerating_database(work: Callable[[], object]) -> None:
    try:
        work()
    except SQLAlchemyError as error:
        log.error("the database does not answer", error=connect_error.words(error))
    except LeaseLostError:
        log.warning("another worker holds the lease, nothing is written")
