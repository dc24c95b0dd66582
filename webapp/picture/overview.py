"""The picture: what every connection and the worker are doing, derived when it is read.

The only place that derives states. Health, dashboard, list and details all read it:
- no worker runs, or its heartbeat is stale: every wanted connection is `unknown`;
- enabled, and the live worker has written nothing about it: `pending`;
- disabled, and the live worker has written nothing about it: `disabled`;
- else the state that the live worker wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy import Connection as Transaction

from database import reasons, rules
from database.clock import database_moment
from database.models import ConnectionEvent
from database.words import DOWN_STATES, UP_STATES, WorkerState
from database.words import ConnectionState as S
from webapp import columns
from webapp.picture import overview_query, workers
from webapp.picture.workers import Worker
from webapp.settings import WebSettings

#: Seconds for which an enabled connection may be down before anybody is told.
GRACE_S = 10.0
#: Events that start the grace anew beside the loss of a session.
FRESH_STARTS = ("enabled", "worker_start", "config_changed", "operator_reconnect")


@dataclass(slots=True)
class Item:
    """One connection as it is now."""

    id: int
    name: str
    site: str
    enabled: bool
    state: str
    reason_code: str
    detail: Mapping[str, Any]
    origin: str | None
    certainty: str | None
    raw_code: int | None
    since: datetime | None
    connected_since: datetime | None
    #: When the last session was lost, or the first try failed; None while there is a session.
    down_since: datetime | None
    #: Whether there ever was a session; None where nobody noted it.
    was_connected: bool | None
    broker_cert_expires_at: datetime | None
    #: The stored state, whoever wrote it, and since when there is a session or none.
    held_state: str | None
    held_since: datetime | None
    attempt: int
    next_attempt_at: datetime | None
    #: Whether the live worker runs this very revision of the record.
    applied: bool
    host: Any
    port: Any
    client_id: str
    status_topic: str
    protocol_negotiated: str | None
    #: The Keep Alive in force, seconds: the broker may have set another than the record's.
    keepalive_s: int | None
    #: How long the last self-ping took, milliseconds.
    round_trip_ms: float | None
    messages_in: int
    #: Since the worker started: QoS 0 while the queue was full, and what no database takes.
    messages_dropped: int
    bytes_dropped: int
    messages_set_aside: int
    last_message_at: datetime | None
    revision: Any
    #: What health says of a connection that is disabled while no worker can be relied on.
    reported: tuple[str, str, Mapping[str, Any], datetime | None] | None = None

    def as_reported(self) -> Item:
        """Return the connection as health shows it."""
        if self.reported is None:
            return self
        state, reason_code, detail, since = self.reported
        return replace(self, state=state, reason_code=reason_code, detail=detail, since=since)

    @property
    def up(self) -> bool:
        return self.state in UP_STATES

    @property
    def is_down(self) -> bool:
        """Whether it is without a session that it could have; a first try is no failure yet."""
        if self.up or self.state in (S.DISABLED, S.UNKNOWN):
            return False
        return self.down_since is not None or self.state in DOWN_STATES - {S.CONNECTING}

    @property
    def changed_at(self) -> datetime | None:
        """When it went up or down; for all that is neither, when its state began."""
        moment = self.connected_since if self.up else self.down_since if self.is_down else None
        return moment or self.since

    @property
    def reason(self) -> str:
        """The whole sentence, for signed-in readers."""
        return reasons.explain(self.reason_code, self.detail)

    @property
    def summary(self) -> str:
        """A few words without host, id or topic."""
        return reasons.summarise(self.reason_code)

    @property
    def next_step(self) -> str:
        return reasons.next_step(self.reason_code)


@dataclass
class Picture:
    """Everything at one moment of the database's clock."""

    now: datetime
    worker: Worker | None
    workers: Sequence[Worker]
    items: Sequence[Item]
    #: Ids that lost a session or were started within the grace.
    lately_up: frozenset[int] = frozenset()
    version: int | None = None  # of the wishes; None: nobody asked
    taken_at: float | None = None  # by the clock of this process; None: a moment ago

    @property
    def live(self) -> bool:
        """Whether a worker runs, so that states are facts."""
        return self.worker is not None and self.worker.active

    @cached_property
    def enabled(self) -> list[Item]:
        return [item for item in self.items if item.enabled]

    @cached_property
    def connected(self) -> int:
        return sum(1 for item in self.enabled if item.state == S.CONNECTED)

    @cached_property
    def by_state(self) -> dict[str, int]:
        return dict(Counter(item.state for item in self.items))

    def within_grace(self, item: Item) -> bool:
        """Whether `item` is down for so short a time that nobody needs to know."""
        # A moment in the future is of a worker whose clock is ahead: it promises nothing.
        if item.since is None or abs(self.now - item.since) >= timedelta(seconds=GRACE_S):
            return False
        # `since` moves with every try; the connection may be down for much longer.
        return item.attempt <= 1 or item.id in self.lately_up


def read(transaction: Transaction, settings: WebSettings, *where: ColumnElement[bool]) -> Picture:
    """Return the picture of the connections that `where` selects, all without it."""
    now, found = workers.read(transaction, settings)
    return put_together(transaction, now, found, rows(transaction, found, settings, *where))


def rows(
    transaction: Transaction,
    found: Sequence[Worker],
    settings: WebSettings,
    *where: ColumnElement[bool],
) -> list[Item]:
    """Return the connections that `where` selects as the workers `found` left them."""
    worker = workers.choose(found)
    selected = transaction.execute(overview_query.statement().where(*where))
    return [item_of(row, worker, settings.hostname) for row in selected]


def put_together(
    transaction: Transaction, now: datetime, found: Sequence[Worker], items: Sequence[Item]
) -> Picture:
    """Return the picture of `items` at `now`."""
    picture = Picture(now, workers.choose(found), found, items)
    if any(_doubtful(item) for item in picture.enabled):
        picture.lately_up = _lately_up(transaction)
    return picture


def item_of(row: Any, worker: Worker | None, hostname: str) -> Item:
    """Return one row of `overview_query` as it is to be read beside the word of `worker`."""
    enabled = bool(row.is_enabled)
    reported = derived = _derive(row, enabled, worker)
    if not enabled and derived[0] == S.UNKNOWN:
        # Nothing runs it, whatever the worker does.
        derived = S.DISABLED, "disabled", {}, row.since or row.updated_at
    state, reason_code, detail, since = derived
    known = worker is not None and worker.active and row.boot_id == worker.boot_id
    return Item(
        id=row.id,
        name=str(row.name),
        site=str(row.site),
        enabled=enabled,
        state=state,
        reason_code=reason_code,
        detail=detail,
        origin=row.origin if known else None,
        certainty=row.certainty if known else None,
        raw_code=row.raw_code if known else None,
        since=since,
        connected_since=row.connected_since if known else None,
        down_since=row.down_since if known else None,
        was_connected=None if row.was_connected is None else bool(row.was_connected),
        broker_cert_expires_at=row.broker_cert_expires_at,
        held_state=row.state,
        held_since=row.connected_since or row.down_since,
        attempt=(row.attempt or 0) if known else 0,
        next_attempt_at=row.next_attempt_at if known else None,
        applied=known and row.applied_revision == row.revision,
        host=row.host,
        port=row.port,
        client_id=(row.client_id_used if known else None) or _filled(row, "client_id", hostname),
        status_topic=(row.status_topic_used if known else None)
        or _filled(row, "status_topic", hostname),
        protocol_negotiated=row.protocol_negotiated if known else None,
        keepalive_s=row.keepalive_s if known else None,
        round_trip_ms=row.round_trip_ms if known else None,
        messages_in=columns.count(row.messages_in),
        messages_dropped=columns.count(row.messages_dropped),
        bytes_dropped=columns.count(row.bytes_dropped),
        messages_set_aside=columns.count(row.messages_set_aside),
        last_message_at=row.last_message_at,
        revision=row.revision,
        reported=None if reported is derived else reported,
    )


def _derive(
    row: Row[Any], enabled: bool, worker: Worker | None
) -> tuple[str, str, Mapping[str, Any], datetime | None]:
    """Return (state, reason code, detail, since)."""
    if worker is None or not worker.active:
        code, detail = silence(worker)
        return S.UNKNOWN, code, detail, worker.beat_at if worker else None
    if row.boot_id == worker.boot_id:
        return row.state, row.reason_code, row.detail or {}, row.since
    if not enabled:
        return S.DISABLED, "disabled", {}, row.updated_at
    moments = [moment for moment in (row.updated_at, worker.started_at) if moment]
    return S.PENDING, "not_picked_up", {}, max(moments, default=None)


def silence(worker: Worker | None) -> tuple[str, Mapping[str, Any]]:
    """Return the reason, and what fills its sentence, why no worker can be relied on."""
    if worker is None:
        return "no_worker", {}
    detail = {"seconds": round(worker.age_s)} if worker.beat_at else {}
    if worker.state == WorkerState.STOPPED:
        return "worker_stopped", detail
    if worker.is_locked_out:
        return "worker_waits", detail
    return "worker_silent" if worker.stale else "worker_standby", detail


def _filled(row: Row[Any], field: str, hostname: str) -> str:
    """Return a template filled in, or as it is if it cannot be."""
    template = str(getattr(row, field))
    try:
        return rules.render(template, rules.names_of(row._asdict(), hostname))
    except rules.TemplateError:
        return template


def _doubtful(item: Item) -> bool:
    return not item.up and item.attempt > 1


def _lately_up(transaction: Transaction) -> frozenset[int]:
    event = ConnectionEvent
    began = event.previous_state.in_(list(UP_STATES)) | event.reason_code.in_(FRESH_STARTS)
    lately = event.at.between(database_moment(-GRACE_S), database_moment(GRACE_S))
    found = transaction.scalars(select(func.distinct(event.connection_id)).where(lately, began))
    return frozenset(found)
