"""What a browser sends to publish a message, and rows as if it had."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, select, update

from database import publications
from database.models import Command
from database.publications import Publication
from tests.web import rows

PAGE = "/admin/publish/"
SEND = PAGE + "send"
JSON = {"Accept": "application/json"}


def form(record: int, **values: Any) -> dict[str, Any]:
    """Return what a browser sends for a good message, with differences."""
    fields = {
        "token": "token-1",
        "connection": str(record),
        "topic": "plant/hello",
        "qos": "1",
        "payload_kind": "text",
        "payload": "hello",
        "payload_format_indicator": "",
        "message_expiry_interval": "",
        "content_type": "",
        "response_topic": "",
        "correlation_kind": "text",
        "correlation_data": "",
        "user_properties-0-name": "",
        "user_properties-0-value": "",
    }
    return {**fields, **values}


def asked(engine: Engine) -> list[tuple[Publication, dict[str, Any]]]:
    """Return what was asked for, oldest first."""
    with engine.connect() as transaction:
        found = transaction.scalars(select(Command.parameters).order_by(Command.id)).all()
    read = [publications.read(item) for item in found]
    return [(item[0], dict(item[1])) for item in read if item is not None]


def publish(engine: Engine, connection: int | None, **values: Any) -> int:
    """Write a command to publish as the web does; return its id."""
    wanted = Publication(**{"topic": "plant/hello", "payload": b"hello", "qos": 1, **values})
    number = rows.command(engine, "publish")
    parameters = {**publications.to_json(wanted), "connection": "plant-1", "entered": {}}
    with engine.begin() as transaction:
        transaction.execute(
            update(Command)
            .where(Command.id == number)
            .values(
                connection_id=connection,
                parameters=json.dumps(parameters),
                requested_by="ann@hawser.example",
            )
        )
    return number
