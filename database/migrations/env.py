"""Alembic's entry: uses the engine it is given, else the one of the settings."""

from __future__ import annotations

from functools import partial
from typing import Any

from alembic import context
from sqlalchemy import Engine

from database import sqlite_file
from database.models import Base
from database.partitions import is_partition
from database.session import immediate, make_engine
from database.settings import Settings, load


def engine() -> Engine:
    given: Engine | None = context.config.attributes.get("engine")
    if given is not None:
        return given
    made = make_engine(load(Settings).database_url.get_secret_value())
    sqlite_file.create(made)
    return made


#: Indexes that no model can tell of: they hold an expression, which SQLite does not compare.
UNTOLD = frozenset({"ix_message_topic_head_id"})


def belongs(dialect: str, item: Any, name: str | None, *_rest: object) -> bool:
    """Whether models and database are compared in this (`info={"only": DIALECT}`)."""
    untold = name in UNTOLD or is_partition(name)
    return item.info.get("only", dialect) == dialect and not untold


#: A migration may take as long as it needs; a page may not.
NO_TIMEOUTS = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"


def run() -> None:
    # SQLite's lock first: a second set-up waits, and then finds nothing to do.
    with immediate(engine()).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(NO_TIMEOUTS)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            transaction_per_migration=False,
            include_object=partial(belongs, connection.dialect.name),
        )
        with context.begin_transaction():
            context.run_migrations()


run()
