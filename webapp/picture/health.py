"""What machines ask: the health contract, liveness and readiness. JSON, never HTML.

Without a session the answer holds no host, port, client id, topic or error text, and
less still where HAWSER_HEALTH_ANONYMOUS says so.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoAnswerError

from database import readiness
from webapp import store
from webapp.front import accepts, errors
from webapp.people import accounts
from webapp.picture import health_body, health_callers, judging, newest
from webapp.picture.health_body import Bodies, timestamp
from webapp.picture.overview import Picture
from webapp.picture.verdict import Verdict
from webapp.wording import texts

log = structlog.get_logger(__name__)
blueprint = Blueprint("health", __name__)

JSON = "application/json"
HEALTH_JSON = "application/health+json"


def configure(app: Flask) -> None:
    """Register the endpoints.

    Call it before what looks up accounts: who asks for the health need not wait for that.
    """
    app.register_blueprint(blueprint)
    app.before_request(_at_once)
    health_callers.configure(app)


def _at_once() -> Response | None:
    """Answer before anything looks up a session, which may wait for the database."""
    view = {"health.livez": livez, "health.readyz": readyz, "health.health": health}.get(
        request.endpoint or ""
    )
    return None if view is None else view()


@blueprint.route("/livez", strict_slashes=False)
def livez() -> Response:
    """Say that this process answers; nothing else is asked."""
    return _json({"status": "pass"}, 200)


@blueprint.route("/readyz", strict_slashes=False)
def readyz() -> Response:
    """Say whether the database is there and its schema at head."""
    problem = readiness.problem(store.engine())
    if problem is None:
        return _json({"status": "pass"}, 200)
    return _json({"status": "fail", "output": texts.sentence(problem)}, 503)


@blueprint.route("/api/v1/mqtt/health/", strict_slashes=False)
def health() -> Response:
    """Answer the health contract (docs/architecture.md)."""
    settings = accounts.settings_of_app()
    name = request.args.get("connection")
    try:
        # First of all: who asks is looked up without a limit in time.
        picture = newest.of_app().picture()
        full = settings.health_anonymous == "full" or _signed_in()
        only_status = settings.health_anonymous == "status" and not full
        if only_status:
            # Whether there is a connection of that name is more than the status.
            name = None
        if name is not None:
            picture = replace(picture, items=[item for item in picture.items if item.name == name])
        if name is not None and not picture.items:
            return _unknown(picture.now, full)
        # That on one connection must not take the place of the one that all others share.
        found = judging.of(picture) if name is None else judging.of_part(picture)
    except SQLAlchemyError as error:
        return _no_database(error)
    if only_status:
        return _json(_status_only(found.status, picture.now), _code(found.status))
    body = bodies(full) if name is None else Bodies(settings.heartbeat_stale_after, full)
    return _ready(body, found, picture)


def _signed_in() -> bool:
    """Whether an account asks; without a cookie nobody needs to look."""
    if not request.cookies:
        return False
    return health_callers.of_app().ask(request.headers["Cookie"], accounts.signed_in)


def bodies(full: bool) -> Bodies:
    """Return the ready answers of the current application to callers of one kind."""
    name, known = f"hawser-health-{full}", current_app.extensions
    if (found := known.get(name)) is None:
        made = Bodies(accounts.settings_of_app().heartbeat_stale_after, full)
        found = known.setdefault(name, made)
    assert isinstance(found, Bodies)
    return found


def _code(status: str) -> int:
    if status == "fail" or (status == "warn" and request.args.get("strict") == "1"):
        return 503
    return 200


def _unknown(now: datetime, full: bool) -> Response:
    return _bare("There is no connection of that name.", now, 404, full)


def _no_database(error: SQLAlchemyError) -> Response:
    # Whoever did not answer is not asked again.
    if isinstance(error, NoAnswerError):
        problem = str(error)
        log.error("health cannot read the database", problem=problem)
    else:
        problem = errors.log_database_error(error)
    return _bare(texts.sentence(problem), datetime.now(UTC), 503, full=False)


def _bare(output: str, now: datetime, code: int, full: bool) -> Response:
    """Answer `fail`, and why, in the form of all answers."""
    settings = accounts.settings_of_app()
    if settings.health_anonymous == "status" and not full:
        return _json(_status_only("fail", now), code)
    stale_after = settings.heartbeat_stale_after
    return _json(health_body.without_connections("fail", output, now, stale_after), code)


def _status_only(status: str, now: datetime) -> dict[str, Any]:
    return {"status": status, "time": timestamp(now)}


def _json(body: dict[str, Any], code: int) -> Response:
    return _response(json.dumps(body).encode() + b"\n", code)


def _ready(body: Bodies, found: Verdict, picture: Picture) -> Response:
    compressed = request.accept_encodings["gzip"] > 0
    response = _response(body.of(found, picture, compressed=compressed), _code(found.status))
    response.headers["Vary"] = "Accept-Encoding, Cookie"
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _response(body: bytes, code: int) -> Response:
    wanted = HEALTH_JSON if accepts.names(HEALTH_JSON, JSON) else JSON
    response = current_app.response_class(body, code, mimetype=wanted)
    response.headers["Cache-Control"] = "no-store"
    if code == 503:
        response.headers["Retry-After"] = str(errors.RETRY_AFTER)
    return response
