"""The body of the health contract, kept ready: asked often, so put together seldom."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from database.version import VERSION
from webapp.picture.overview import Item, Picture
from webapp.picture.verdict import Verdict
from webapp.picture.workers import Worker

#: What only a signed-in caller may see.
PRIVATE_WORKER_KEYS = ("hostname", "pid", "worker_id", "boot_id")
PRIVATE_CONNECTION_KEYS = ("host", "port", "client_id", "status_topic")
#: How hard gzip tries: bodies are large, and live for less than a second.
COMPRESSION = 1


class Bodies:
    """The answers to callers of one kind."""

    def __init__(self, stale_after: float, full: bool) -> None:
        self._stale_after, self._full = stale_after, full
        self._lock = Lock()
        #: What each connection is in the body, and the item that was made into it.
        self._entries: dict[int, tuple[Item, bytes]] = {}
        self._of: Picture | None = None
        self._body = self._compressed = b""

    def of(self, found: Verdict, picture: Picture, *, compressed: bool = False) -> bytes:
        """Return the answer for `picture`, on which the verdict is `found`."""
        with self._lock:
            if picture is not self._of:
                self._body = self._made(found, picture)
                self._compressed = b""
                self._of = picture
            if not compressed:
                return self._body
            if not self._compressed:
                self._compressed = gzip.compress(self._body, COMPRESSION)
            return self._compressed

    def _made(self, found: Verdict, picture: Picture) -> bytes:
        head = _head(found, picture, self._stale_after, self._full)
        known = self._entries
        self._entries = {
            item.id: entry
            if (entry := known.get(item.id)) and entry[0] is item
            else (item, _json(_connection(item, self._full)))
            for item in picture.items
        }
        entries = b", ".join([entry for _, entry in self._entries.values()])
        return b"%s, %s [%s]}\n" % (_json(head)[:-1], b'"connections":', entries)


def without_connections(
    status: str, output: str, now: datetime, stale_after: float
) -> dict[str, Any]:
    """Return an answer that has the form of all others, of whom nothing else is known."""
    nothing = Picture(now, None, (), ())
    head = _head(Verdict(status, output), nothing, stale_after, full=False)  # type: ignore[arg-type]
    return {**head, "connections": []}


def _json(value: Mapping[str, Any]) -> bytes:
    # Plain SQL can put anything into a host or port, bytes too.
    return json.dumps(value, default=str).encode()


def _head(found: Verdict, picture: Picture, stale_after: float, full: bool) -> dict[str, Any]:
    return {
        "status": found.status,
        "output": found.output,
        "version": VERSION,
        "time": timestamp(picture.now),
        "worker": _worker(picture.worker, stale_after, full),
        "summary": {
            "total": len(picture.items),
            "enabled": len(picture.enabled),
            "connected": picture.connected,
            "by_state": _by_state(picture),
        },
    }


def _worker(worker: Worker | None, stale_after: float, full: bool) -> dict[str, Any]:
    fresh = worker is not None and worker.beat_at is not None
    told = {
        "state": worker.state if worker else "unknown",
        "stale": worker.stale if worker else True,
        "heartbeat_at": timestamp(worker.beat_at) if worker else None,
        "heartbeat_age_s": round(worker.age_s, 3) if worker and fresh else None,
        "stale_after_s": stale_after,
        "started_at": timestamp(worker.started_at) if worker else None,
        "hostname": worker.hostname if worker else None,
        "pid": worker.pid if worker else None,
        "worker_id": worker.worker_id if worker else None,
        "boot_id": worker.boot_id if worker else None,
        "version": worker.version if worker else None,
        "hub_lag_ms": worker.hub_lag_ms if worker else None,
    }
    return told if full else _without(told, PRIVATE_WORKER_KEYS)


def _by_state(picture: Picture) -> dict[str, int]:
    return dict(Counter(item.as_reported().state for item in picture.items))


def _connection(item: Item, full: bool) -> dict[str, Any]:
    item = item.as_reported()
    told = {
        "id": item.id,
        "name": item.name,
        "site": item.site,
        "enabled": item.enabled,
        "state": item.state,
        "reason_code": item.reason_code,
        "reason": item.reason if full else item.summary,
        "since": timestamp(item.since),
        "connected_since": timestamp(item.connected_since),
        "attempt": item.attempt,
        "next_attempt_at": timestamp(item.next_attempt_at),
        "applied": item.applied,
        "host": item.host,
        "port": item.port,
        "client_id": item.client_id,
        "status_topic": item.status_topic,
    }
    return told if full else _without(told, PRIVATE_CONNECTION_KEYS)


def _without(told: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in keys}


def timestamp(moment: datetime | None) -> str | None:
    """Return `moment` as UTC ISO 8601 with microseconds and Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
