"""The schema: bring it to head, ask at which revision it is and whether it is ours."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, inspect

from database import sqlite_file
from database.models import Base
from database.sentences import Sentence, say
from database.visible import one_line

MIGRATIONS = Path(__file__).parent / "migrations"
#: Of a revision that somebody else wrote, characters.
LONGEST_REVISION = 100
#: Tables that every version has made: a database with all of them is one of Hawser's.
_SINCE_THE_FIRST = ("connection", "subscription", "config_version")
#: What our revisions look like, those to come too.
_OUR_REVISION = re.compile(r"[0-9]{4}(_\w*)?")


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
    with engine.connect() as transaction:
        return _revision(transaction)


def behind(engine: Engine) -> Sentence | None:
    """Return a sentence if the schema is older than this code, None if it is at head.

    Raises SQLAlchemyError.
    """
    revision = current(engine)
    if revision == head():
        return None
    return say(
        "the database schema is at {revision} and {head} is needed; "
        "run the migrations (`python3 manage.py run` and the container do it at start)",
        revision=revision or "nothing",
        head=head(),
    )


def foreign(transaction: Transaction) -> Sentence | None:
    """Return a sentence if the schema is newer than this code, not ours or damaged, else None.

    Raises SQLAlchemyError.
    """
    revision = _revision(transaction)
    tables = inspect(transaction)
    is_ours = all(map(tables.has_table, _SINCE_THE_FIRST))
    if revision in _known():
        return None if is_ours else _without_tables(revision)
    if revision is None and not is_ours:
        taken = sorted(set(tables.get_table_names()) & set(Base.metadata.tables))
        return _taken(taken[0]) if taken else None
    if revision is None or _known().issuperset(revision.split(", ")):
        return _without_revision(revision)
    if is_ours or _OUR_REVISION.fullmatch(revision):
        return _newer(revision)
    return say(
        "HAWSER_DATABASE_URL names the database of another application, at its revision "
        "{revision}; name a database of Hawser's own",
        revision=revision,
    )


def _newer(revision: str) -> Sentence:
    return say(
        "the database belongs to a newer Hawser: its schema is at {revision} and this version "
        "knows it up to {head}; install that version, or restore the backup from before the "
        "upgrade",
        revision=revision,
        head=head(),
    )


def _without_tables(revision: str) -> Sentence:
    return say(
        "HAWSER_DATABASE_URL names a database that is damaged: its alembic_version says "
        "{revision}, but Hawser's tables are missing; restore it from a backup, or name an empty "
        "database",
        revision=revision,
    )


def _without_revision(revision: str | None) -> Sentence:
    return say(
        "HAWSER_DATABASE_URL names a database that is damaged: it has Hawser's tables, but its "
        "alembic_version must hold one revision and holds {revision}; restore it from a backup",
        revision=revision or "nothing",
    )


def _taken(table: str) -> Sentence:
    return say(
        'HAWSER_DATABASE_URL names a database with a table "{table}" that is not of Hawser; '
        "name an empty database",
        table=table,
    )


@cache
def _known() -> frozenset[str]:
    """Return every revision that this code knows."""
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _revision(transaction: Transaction) -> str | None:
    """Return the revision of the database, several as one text, None for an empty one."""
    heads = map(str, MigrationContext.configure(transaction).get_current_heads())
    return one_line(", ".join(sorted(heads)), LONGEST_REVISION) or None
