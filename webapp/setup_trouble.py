"""Why a set-up did not succeed: one sentence with its cure, and whether waiting may help."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from database import connect_error, readiness, sqlite_file
from database.readiness import Obstacle
from database.visible import one_line, visible

VARIABLE = "HAWSER_DATABASE_URL"
#: In HAWSER_HOME: the trace of a failure that nobody foresaw.
TRACE_FILE = "setup-error.log"
#: What SQLite says of a file that is free, or has room, a moment later.
_PASSING_WORDS = ("locked", "full")
#: What it says of a file that is none of its own, or is no longer.
_SPOILT_WORDS = ("not a database", "malformed")
#: SQLSTATE classes of what passes: connection, rollback, resources, locks, an end, the system.
_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
#: SQLSTATE: a right is missing, or there is no schema to create tables in.
_NO_RIGHT = frozenset({"42501", "3F000"})
#: The role, the schema of its tables and whether it may make some; names as GRANT takes them.
_RIGHTS = text(
    "SELECT quote_ident(current_user), quote_ident(coalesce(current_schema(), 'public')), "
    "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
)


@dataclass(frozen=True)
class Trouble:
    """Sentences on a set-up that did not succeed."""

    sentence: str
    passes: bool


def of_obstacle(engine: Engine, found: Obstacle) -> Trouble:
    """Return what to say of a database that cannot be used.

    May connect once more, to learn the code of a refusal.
    """
    if found.error is None:
        return Trouble(_with_variable(found.words), passes=False)
    if sqlite_file.problem(found.error) is not None:
        return Trouble(_with_variable(found.words), passes=False)
    if engine.dialect.name == "sqlite":
        return _of_file(found.words)
    cure = connect_error.cure(engine, found.error)
    words = _with_variable(found.words)
    return Trouble(f"{words}; {cure}" if cure else words, passes=cure is None)


def of_error(engine: Engine, error: Exception, home: Path) -> Trouble:
    """Return what to say of a set-up that began and failed."""
    if isinstance(error, OSError):
        where = visible(str(error.filename or home))
        return Trouble(f"cannot write to {where} ({error.strerror})", passes=False)
    if isinstance(error, SQLAlchemyError):
        found = readiness.obstacle(engine)
        if found is not None:
            return of_obstacle(engine, found)
        return _of_database(engine, error, home)
    return _unforeseen(error, type(error).__name__, home)


def _of_database(engine: Engine, error: SQLAlchemyError, home: Path) -> Trouble:
    said = connect_error.words(error)
    if engine.dialect.name == "sqlite":
        known = ("readonly", "unable to open", *_PASSING_WORDS, *_SPOILT_WORDS)
        if any(word in said for word in known):
            return _of_file(readiness.own_words(engine, error))
        return _unforeseen(error, said, home)
    code = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if code in _NO_RIGHT:
        return Trouble(_missing_right(engine, said), passes=False)
    if code[:2] in _PASSING_CLASSES:
        return Trouble(_with_variable(readiness.own_words(engine, error)), passes=True)
    return _unforeseen(error, said, home)


def _of_file(words: str) -> Trouble:
    sentence = _with_variable(words)
    if any(word in words for word in _PASSING_WORDS):
        return Trouble(sentence, passes=True)
    if any(word in words for word in _SPOILT_WORDS):
        return Trouble(f"{sentence}; restore it from a backup or name another one", passes=False)
    cure = "its directory must exist, and this user must be allowed to write to both"
    return Trouble(f"{sentence}; {cure}", passes=False)


def _missing_right(engine: Engine, said: str) -> str:
    with engine.connect() as connection:
        role, schema, may_create = connection.execute(_RIGHTS).one()
    if may_create:
        return (
            f"{VARIABLE}: its role {role} lacks a right ({said}); "
            "name the role that owns Hawser's tables"
        )
    return (
        f"{VARIABLE}: its role {role} may not make tables ({said}); the owner of the database "
        f"must GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}"
    )


def _unforeseen(error: Exception, said: str, home: Path) -> Trouble:
    """Keep the trace where its owner finds it."""
    path = home / TRACE_FILE
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        where = f"the details are in {visible(str(path))}"
    except OSError as problem:
        where = f"its details cannot be written to {visible(str(path))} ({problem.strerror})"
    return Trouble(f"the set-up failed ({one_line(said, 500)}); {where}", passes=False)


def _with_variable(words: str) -> str:
    return words if VARIABLE in words else f"{VARIABLE}: {words}"
