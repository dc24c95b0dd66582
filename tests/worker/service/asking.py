"""Commands as the web asks for them, and what the worker makes of them."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Engine, insert, select

from database.clock import database_now
from database.models import Command, CommandResult
from database.outcomes import explain
from tests.support.process import wait_until
from tests.support.records import record

#: Longest time to the acceptance of a command, seconds.
ACCEPTED_WITHIN = 2.0


def ask(
    engine: Engine,
    kind: str,
    connection_id: int | None = None,
    parameters: str | None = None,
    *,
    age: float = 0.0,
) -> int:
    """Insert a command that was asked for `age` seconds ago; return its id."""
    row = {
        "kind": kind,
        "connection_id": connection_id,
        "parameters": parameters,
        "requested_at": database_now(-age),
    }
    with engine.begin() as transaction:
        result: Any = transaction.execute(insert(Command.__table__).values(**row))  # type: ignore[arg-type]
        return int(result.inserted_primary_key[0])


def draft(port: int, *filters: str, real_id: bool = False, **values: Any) -> str:
    """Return the parameters of a test of a record that nobody has stored."""
    return json.dumps(
        {
            "record": record(**{"id": 0, "host": "127.0.0.1", "port": port, **values}),
            "subscriptions": [
                {"topic_filter": name, "qos": 1, "is_enabled": True} for name in filters
            ],
            "options": {"use_real_client_id": real_id},
        }
    )


def row_of(engine: Engine, command_id: int) -> Any:
    """Return what the worker wrote about a command, None if nothing yet."""
    query = select(CommandResult.__table__).where(CommandResult.command_id == command_id)
    with engine.connect() as transaction:
        return transaction.execute(query).one_or_none()


def finished(engine: Engine, command_id: int, seconds: float = 25.0) -> Any:
    """Wait until a command is accepted, within its bound, and finished; return the row."""
    started = time.monotonic()
    wait_until(lambda: row_of(engine, command_id), ACCEPTED_WITHIN, "the command to be accepted")

    def is_over() -> bool:
        return row_of(engine, command_id).finished_at is not None

    left = seconds - (time.monotonic() - started)
    wait_until(is_over, left, lambda: f"a result of {row_of(engine, command_id)}")
    return row_of(engine, command_id)


def step(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one step of the result of a test."""
    return next(item for item in result["steps"] if item["name"] == name)


def failing_step(result: dict[str, Any]) -> tuple[str, str]:
    """Return the name and the reason code of the step that failed."""
    found = next(item for item in result["steps"] if item["state"] == "failed")
    return found["name"], found["reason_code"]


def words(result: dict[str, Any]) -> str:
    """Return the sentence of a result."""
    return explain(result["code"], result["detail"])
