"""What machines ask: the health contract, liveness and readiness. JSON, never HTML.

Without a session the answer holds no host, port, client id, topic or error text, and
less still where HAWSER_HEALTH_ANONYMOUS says so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from database import migrate
from database.models import Connection
from database.version import VERSION
from webapp import accounts, certificates, errors, overview, store, texts, verdict
from webapp.overview import Item, Picture
from webapp.workers import Worker

log = structlog.get_logger(__name__)
blueprint = Blueprint("health", __name__)

#: What only a signed-in caller may see.
PRIVATE_WORKER_KEYS = ("hostname", "pid", "worker_id", "boot_id")
PRIVATE_CONNECTION_KEYS = ("host", "port", "client_id", "status_topic")
JSON = "application/json"
HEALTH_JSON = "application/health+json"


def configure(app: Flask) -> None:
    """Register the endpoints."""
    app.register_blueprint(blueprint)


@blueprint.route("/livez", strict_slashes=False)
def livez() -> Response:
    """Say that this process answers; nothing else is asked."""
    return _json({"status": "pass"}, 200)


@blueprint.route("/readyz", strict_slashes=False)
def readyz() -> Response:
    """Say whether the database is there and its schema at head."""
    problem = migrate.problem(store.engine())
    if problem is None:
        return _json({"status": "pass"}, 200)
    return _json({"status": "fail", "output": texts.sentence(problem)}, 503)


@blueprint.route("/api/v1/mqtt/health/", strict_slashes=False)
def health() -> Response:
    """Answer the health contract (docs/architecture.md)."""
    settings = accounts.settings_of_app()
    name = request.args.get("connection")
    # PostgreSQL takes no NUL; no name holds one.
    where = () if name is None else (Connection.name == name.replace("\x00", ""),)
    try:
        full = accounts.signed_in() or settings.health_anonymous == "full"
        with store.reading() as transaction:
            picture = overview.read(transaction, settings, *where)
            expiring = certificates.watch().expiring(transaction, picture)
    except SQLAlchemyError as error:
        return _no_database(error)
    if name is not None and not picture.items:
        output = "There is no connection of that name."
        return _answer(_body("fail", output, picture.now, settings), 404, full)
    found = verdict.judge(picture, expiring)
    body = _body(found.status, found.output, picture.now, settings, picture)
    if full:
        _tell(body, picture)
    return _answer(body, _code(found.status), full)


def _code(status: str) -> int:
    if status == "fail" or (status == "warn" and request.args.get("strict") == "1"):
        return 503
    return 200


def _no_database(error: SQLAlchemyError) -> Response:
    problem = errors.database_problem(error)
    log.error("health cannot read the database", problem=problem, kind=type(error).__name__)
    settings = accounts.settings_of_app()
    body = _body("fail", texts.sentence(problem), datetime.now(UTC), settings)
    return _answer(body, 503, full=False)


def _body(
    status: str, output: str, now: datetime, settings: Any, picture: Picture | None = None
) -> dict[str, Any]:
    picture = picture or Picture(now, None, (), ())
    return {
        "status": status,
        "output": output,
        "version": VERSION,
        "time": timestamp(now),
        "worker": _worker(picture.worker, settings.heartbeat_stale_after),
        "summary": {
            "total": len(picture.items),
            "enabled": len(picture.enabled),
            "connected": picture.connected,
            "by_state": picture.by_state,
        },
        "connections": [_connection(item) for item in picture.items],
    }


def _worker(worker: Worker | None, stale_after: float) -> dict[str, Any]:
    fresh = worker is not None and worker.beat_at is not None
    return {
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


def _connection(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "site": item.site,
        "enabled": item.enabled,
        "state": item.state,
        "reason_code": item.reason_code,
        "reason": item.summary,
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


def _tell(body: dict[str, Any], picture: Picture) -> None:
    """Put the whole sentences in, for readers who may see hosts and ids."""
    for entry, item in zip(body["connections"], picture.items, strict=True):
        entry["reason"] = item.reason


def _hide(body: dict[str, Any]) -> None:
    """Take out what an anonymous caller must not see."""
    for key in PRIVATE_WORKER_KEYS:
        del body["worker"][key]
    for entry in body["connections"]:
        for key in PRIVATE_CONNECTION_KEYS:
            del entry[key]


def _answer(body: dict[str, Any], code: int, full: bool) -> Response:
    if not full:
        _hide(body)
        if accounts.settings_of_app().health_anonymous == "status":
            body = {"status": body["status"], "time": body["time"]}
    return _json(body, code)


def _json(body: dict[str, Any], code: int) -> Response:
    wanted = HEALTH_JSON if HEALTH_JSON in request.headers.get("Accept", "") else JSON
    # Plain SQL can put anything into a host or port, bytes too.
    text = json.dumps(body, default=str)
    response = current_app.response_class(text + "\n", code, mimetype=wanted)
    response.headers["Cache-Control"] = "no-store"
    if code == 503:
        response.headers["Retry-After"] = str(errors.RETRY_AFTER)
    return response


def timestamp(moment: datetime | None) -> str | None:
    """Return `moment` as UTC ISO 8601 with microseconds and Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
