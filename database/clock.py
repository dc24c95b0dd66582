"""The database's own clock as an SQL expression, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from database.types import UTCDateTime


class database_now(FunctionElement[Any]):  # noqa: N801 - reads like func.now()
    """The moment of the statement, by the clock of the database, `seconds` later if given."""

    type = UTCDateTime()
    inherit_cache = True
    name = "database_now"

    def __init__(self, seconds: float | ColumnElement[Any] = 0) -> None:
        super().__init__(seconds)


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, compiler: Any, **kw: Any) -> str:
    return f"(clock_timestamp() + {compiler.process(element.clauses, **kw)} * interval '1 second')"


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, compiler: Any, **kw: Any) -> str:
    # Three decimals from SQLite, padded to the six that SQLAlchemy writes, so that
    # the text compares in the order of time.
    seconds = compiler.process(element.clauses, **kw)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


def database_moment(seconds: float = 0) -> ScalarSelect[Any]:
    """The same, read once and not for each row: what looks rows up by an index of times.

    PostgreSQL would ask `clock_timestamp()` again for every row of a large table.
    """
    return select(database_now(seconds)).scalar_subquery()
