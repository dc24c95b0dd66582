"""The schema: bring it to head, ask whether it is there, wait until it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from database import sqlite_file
from database.sentences import say

MIGRATIONS = Path(__file__).parent / "migrations"
#: Seconds between two looks at a database that is not ready.
RETRY_INTERVAL = 1.0


def config(engine: Engine | None = None) -> Config:
    """Return the Alembic configuration, bound to `engine` if one is given."""
    result = Config()
    # Alembic's options take a % for the start of a reference to another one.
    result.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    result.attributes["engine"] = engine
    return result


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate up to `revision`; an SQLite file is made if there is none. Raises OSError."""
    sqlite_file.create(engine)
    command.upgrade(config(engine), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate down to `revision` (`base` removes every table)."""
    command.downgrade(config(engine), revision)


def head() -> str:
    """Return the newest revision that this code knows."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


def current(engine: Engine) -> str | None:
    """Return the revision of the database, None for an empty one. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def problem(engine: Engine) -> str | None:
    """Say in one sentence why the database cannot be used yet, or None if it can."""
    try:
        revision = current(engine)
    except SQLAlchemyError as error:
        if (found := sqlite_file.problem(error)) is not None:
            return found
        return say("the database cannot be reached ({kind})", kind=_kind(engine, error))
    if revision == head():
        return None
    return say(
        "the database schema is at {revision} and {head} is needed; "
        "run the migrations (`python3 manage.py run` and the container do it at start)",
        revision=revision or "nothing",
        head=head(),
    )


def _kind(engine: Engine, error: SQLAlchemyError) -> str:
    """Return what happened; SQLite's own words say whether its file is at fault."""
    if engine.dialect.name == "sqlite" and isinstance(error, DBAPIError):
        return str(error.orig)
    # Those of other drivers may hold the address and the user.
    return type(error).__name__


def wait_until_ready(
    find: Callable[[], str | None],
    pause: Callable[[float], object],
    report: Callable[[str], object],
) -> None:
    """Return when `find`, a way to ask for the `problem`, finds none.

    `report` hears of each new problem once; `pause` is called between looks.
    """
    reported = None
    while (found := find()) is not None:
        if found != reported:
            report(found)
            reported = found
        pause(RETRY_INTERVAL)
