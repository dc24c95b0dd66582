"""Notices when our own clients with one login throw each other out; see core.shared_login."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from gevent.event import Event as Signal

from database.certificate_subject import common_name
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import Closed, Event, Failed, Lost, Opened
from mqttworker.core.shared_login import TAKEOVER_CODES, SharedLogin, Use
from mqttworker.core.spec import ConnectionSpec

#: How long the client that may have ended a session is given to come up, seconds.
PATIENCE = 1.5
#: So long after the end it must still stand to be the one that did it, seconds.
STANDS_FOR = 0.5
#: A connection that gave way is not tried while the other one stands: looked at so often, and
#: for so long at most, seconds. The broker may be set up in another way by then.
LOOK_AGAIN, LONGEST_WAIT = 60.0, 3600.0

#: What a broker may take for the client id: user name or certificate, the host, the name.
Login = tuple[str, str, str]


class Client(Protocol):
    """A connection, or a test."""

    @property
    def name(self) -> str:
        """How people know it; empty for a test."""

    def give_way(self, why: Cause) -> None:
        """Leave the broker to the client whose session this one has ended; must not block."""


@dataclass(slots=True)
class _Entry:
    """The present session of one client."""

    client: Client
    spec: ConnectionSpec
    logins: list[SharedLogin]
    use: Use


class SharedLogins:
    """Watches every login that connections and tests use."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._logins: dict[Login, SharedLogin] = {}
        self._entries: dict[Client, _Entry] = {}
        #: When a connection was last told to give way.
        self._gave_way_at: dict[Client, float] = {}
        self._changed = Signal()

    # --- what happens to a client

    def tries(self, client: Client, spec: ConnectionSpec) -> None:
        """Record a try of `client`."""
        before = self._entries.get(client)
        logins = [self._logins.setdefault(login, SharedLogin()) for login in _logins_of(spec)]
        entry = self._entries[client] = _Entry(client, spec, logins, Use(client, self._now()))
        for login in logins:
            login.clients += 1
        self._forget(before)
        for login in logins:
            login.tries(entry.use)

    def hear(self, client: Client, event: Event) -> None:
        """Record what the session of `client` reports; called in the loop."""
        entry = self._entries.get(client)
        if entry is None:
            return
        if isinstance(event, Opened):
            entry.use.opened_at = self._now()
            for login in entry.logins:
                login.opened(entry.use)
        elif isinstance(event, Failed | Lost):
            entry.use.was_lost = True
            self._end(entry)
            self._hear_of_end(entry, event.why)
        elif isinstance(event, Closed):
            self._end(entry)
        self._changed.set()
        self._changed.clear()

    def ended(self, client: Client) -> None:
        """Record that we ended the session of `client`."""
        if (entry := self._entries.get(client)) is not None:
            self._end(entry)

    def leaves(self, client: Client) -> None:
        """Forget a client that is gone for good."""
        self._gave_way_at.pop(client, None)
        self._forget(self._entries.pop(client, None))

    def broker_went(self, client: Client) -> None:
        """Forget what its logins have shown: the broker ended, and may come back another."""
        for login in self._logins_at(client):
            login.forget()

    # --- what follows from it

    def takeover(self, client: Client, lost_beside: Iterable[int]) -> Cause | None:
        """Return why the session of `client` ended if another one of ours ended it, else None.

        That one is told to give way: who stood longer stays. `lost_beside` are connections to
        the same broker that were lost a moment ago. Waits until the other one is up.
        """
        entry = self._entries.get(client)
        if entry is None or not entry.use.suspects:
            return None
        taker = self._taker(entry.use)
        if taker is None or not all(self._shares_login(entry, each) for each in lost_beside):
            return None
        shared = [login for login in entry.logins if login in self._logins_at(taker)]
        believed = [login.took_over(self._now()) for login in shared or entry.logins]
        if not any(believed):
            return None
        if taker in self._entries:
            self._gave_way_at[taker] = self._now()
        taker.give_way(_gives_way(client, waits=any(login.is_proven for login in shared)))
        return _was_ended(taker)

    def earliest_try(self, client: Client, now: float) -> float:
        """Return when a connection that gave way is looked at again, `now` if it may try."""
        if now >= self._gave_way_at.get(client, float("-inf")) + LONGEST_WAIT:
            return now
        is_held = any(
            login.is_proven and any(holder is not client for holder in login.holders)
            for login in self._logins_at(client)
        )
        return now + LOOK_AGAIN if is_held else now

    # --- for tests

    def ends_others(self, spec: ConnectionSpec) -> bool:
        """Whether a session with the login of `spec` was seen to end another one with it."""
        return any(login.is_known(self._now()) for login in self._known(spec))

    def saw_takeover(self, spec: ConnectionSpec) -> None:
        """Record that two sessions of one test threw each other out."""
        for name in _logins_of(spec):
            self._logins.setdefault(name, SharedLogin()).took_over(self._now())

    def in_the_way(self, spec: ConnectionSpec) -> list[Client]:
        """Return whose session another one with the login of `spec` would end."""
        known = [login for login in self._known(spec) if login.is_known(self._now())]
        return [cast("Client", holder) for login in known for holder in login.holders]

    # --- pieces

    def _end(self, entry: _Entry) -> None:
        if entry.use.ended_at is None:
            entry.use.ended_at = now = self._now()
            for login in entry.logins:
                login.ended(entry.use, now)

    def _forget(self, entry: _Entry | None) -> None:
        if entry is None:
            return
        self._end(entry)
        for name, login in zip(_logins_of(entry.spec), entry.logins, strict=True):
            login.clients -= 1
            if login.is_unused:
                del self._logins[name]

    def _hear_of_end(self, entry: _Entry, why: Cause) -> None:
        if why.code == "tcp_refused":
            self.broker_went(entry.client)
        if why.code not in TAKEOVER_CODES or any(login.is_doubtful for login in entry.logins):
            return
        for suspect in entry.use.suspects:
            taker = cast("Client", suspect.client)
            if not taker.name:
                # A test stops at the first sign; whether it is one is judged later.
                taker.give_way(_gives_way(entry.client))

    def _taker(self, use: Use) -> Client | None:
        """Return whose beginning ended the session, None if nobody's did.

        What ends together with it has not ended it: the broker or the network has ended both.
        """
        assert use.ended_at is not None
        while True:
            suspects = [suspect for suspect in use.suspects if suspect.is_suspect]
            up = next((suspect for suspect in suspects if suspect.opened_at is not None), None)
            age = self._now() - use.ended_at
            if up is not None and age >= STANDS_FOR:
                return cast("Client", up.client)
            if age >= PATIENCE or not suspects:
                return None
            self._changed.wait((PATIENCE if up is None else STANDS_FOR) - age)

    def _shares_login(self, entry: _Entry, connection_id: int) -> bool:
        return any(
            login in other.logins
            for other in self._entries.values()
            if other.spec.connection_id == connection_id
            for login in entry.logins
        )

    def _logins_at(self, client: Client) -> list[SharedLogin]:
        entry = self._entries.get(client)
        return entry.logins if entry else []

    def _known(self, spec: ConnectionSpec) -> Iterator[SharedLogin]:
        return (self._logins[name] for name in _logins_of(spec) if name in self._logins)


def _logins_of(spec: ConnectionSpec) -> list[Login]:
    """Return what the broker may take for the client id.

    Without the port: one broker may listen on several.
    """
    host, _port = spec.broker
    logins = [("user name", host, spec.username)] if spec.username else []
    certificate = spec.tls.client_cert_pem if spec.tls else None
    if certificate:
        logins.append(("certificate", host, common_name(certificate) or certificate))
    return logins


def _gives_way(stays: Client, *, waits: bool = False) -> Cause:
    """Return why a client that ended the session of `stays` leaves the broker to it."""
    if waits:
        return cause("shared_login_takeover", waits_for=stays.name)
    return cause("shared_login_takeover", ended=stays.name)


def _was_ended(taker: Client) -> Cause:
    """Return why a session ended that `taker` ended."""
    if not taker.name:
        return cause("shared_login_takeover", test=True)
    return cause("shared_login_takeover", other=taker.name)
