"""What goes wrong, in one plain page or one JSON object; never a stack trace or SQL."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, current_app, jsonify, make_response, request, session
from flask_wtf.csrf import CSRFError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from database import readiness, sqlite_file, write_failures
from database.sentences import Sentence, say
from webapp import store
from webapp.front import accepts, form_refusals
from webapp.wording import texts
from webapp.wording.language import in_words

log = structlog.get_logger(__name__)
#: Seconds after which a client may ask again while the database is away.
RETRY_AFTER = 5
#: What pages answer on purpose, some with a sentence of their own.
OUR_OWN = frozenset({403, 404, 409, 429})


def configure(app: Flask) -> None:
    """Answer every error in this product's own words."""
    form_refusals.configure(app)
    app.register_error_handler(CSRFError, _form_refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_error)
    app.register_error_handler(Exception, _unexpected)


def database_problem(
    error: SQLAlchemyError, engine: Engine | None = None, *, in_own_words: bool = False
) -> str:
    """Return one sentence on what is wrong with the database; no address, no SQL.

    `in_own_words`: with those of the server, for whoever runs Hawser.
    """
    refusal = sqlite_file.problem(error) or write_failures.sentence(error)
    if refusal is not None:
        return refusal
    problem = readiness.problem(engine or store.engine(), in_own_words=in_own_words)
    return problem or _refused(error)


def log_database_error(error: SQLAlchemyError) -> str:
    """Return `database_problem`, and log it unless it is one of the whole database.

    That one `database_watch` tells, once and not for each request.
    """
    refusal = write_failures.sentence(error)
    whole: str | None = sqlite_file.problem(error)
    if refusal is None and whole is None:
        whole = readiness.problem(store.engine())
    if whole is not None:
        return whole
    problem = refusal or _refused(error)
    log.error("database error", problem=problem, kind=type(error).__name__, path=request.path)
    return problem


def _refused(error: SQLAlchemyError) -> Sentence:
    return say("the database refused a request ({kind})", kind=type(error).__name__)


def _form_refused(_error: CSRFError) -> Any:
    return _answer(400, form_refusals.sentence())


def _http_error(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error
    response = _answer(error.code, _sentence(error))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response[0].headers[name] = value
    return response


def _sentence(error: HTTPException) -> str:
    """Return our own sentence; the libraries' repeat what they were sent."""
    if error.code in OUR_OWN and error.description != type(error).description:
        return str(error.description)
    return str(texts.HTTP_ERRORS.get(error.code or 400) or texts.HTTP_ERRORS[400])


def _database_error(error: SQLAlchemyError) -> Any:
    _take_back()
    problem = log_database_error(error)
    response, status = _answer(503, f"{texts.NOT_READY} {texts.sentence(in_words(problem))}")
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response, status


def _unexpected(error: Exception) -> Any:
    log.exception("unexpected error", path=request.path, exc_info=error)
    _take_back()
    return _answer(500, texts.UNEXPECTED)


def _take_back() -> None:
    """Undo what the request began, so that nothing of it is committed with the error page.

    The cookie stays as it came: it must not name a session that was never written.
    """
    store.roll_back()
    before = current_app.session_interface.open_session(current_app, request)
    session.clear()
    session.update(before or {})
    session.modified = False


def _answer(status: int, message: str) -> tuple[Any, int]:
    if request.path.startswith("/api/") or accepts.json_first():
        return jsonify(status=status, error=str(message), sentence=str(message)), status
    # Not render_template: its context processors ask the database who is signed in.
    page = current_app.jinja_env.get_template("error.html").render(
        status=status, message=message, title=texts.ERROR_TITLES.get(status, "Error")
    )
    return make_response(page), status
