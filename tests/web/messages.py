"""Messages as the worker would have stored them, for tests of the pages that show them."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, select

from database.clock import database_now
from database.models import DeadLetter, Message
from tests.web.conftest import Visitor

MESSAGES = "/admin/messages/"


def message(engine: Engine, topic: str = "a/b", payload: bytes = b"21.5", **values: Any) -> int:
    """Store one message and return its id."""
    row = {"connection_id": 1, "topic": topic, "payload": payload, "qos": 1}
    with engine.begin() as transaction:
        result = transaction.execute(
            insert(Message).values(**({"received_at": database_now()} | row | values))
        )
        key: Any = result.inserted_primary_key
        return int(key[0])


def many(engine: Engine, rows: list[dict[str, Any]], step: float = 1.0) -> None:
    """Store messages, `step` seconds apart, the last of them now."""
    with engine.begin() as transaction:
        now: datetime = transaction.scalar(select(database_now()))
        start = now - timedelta(seconds=step * (len(rows) - 1))
        whole = {"connection_id": 1, "topic": "a/b", "payload": b"21.5", "qos": 0}
        whole |= {"retain": False, "dup": False, "properties": None}
        transaction.execute(
            insert(Message),
            [
                whole | {"received_at": start + timedelta(seconds=step * number)} | row
                for number, row in enumerate(rows)
            ],
        )


def dead_letter(engine: Engine, topic: bytes, problem: str, **values: Any) -> None:
    """Store a message that was set aside."""
    row = {"connection_id": 1, "topic": topic, "payload": b"x", "qos": 1, "problem": problem}
    row |= {"received_at": database_now(), "retain": False, "dup": False}
    with engine.begin() as transaction:
        transaction.execute(insert(DeadLetter).values(**(row | values)))


def ids(visitor: Visitor, **arguments: Any) -> list[int]:
    """Return the ids of the messages on a page, in its order."""
    answer = visitor.get(MESSAGES, query_string=arguments, follow_redirects=True)
    assert answer.status_code == 200
    return shown(answer.text)


def live(visitor: Visitor, **arguments: Any) -> dict[str, Any]:
    """Return what a page that is open is told."""
    answer = visitor.get(f"{MESSAGES}live", query_string=arguments)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def shown(page: str) -> list[int]:
    """Return the ids of the messages on a page, in its order."""
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        int(number)
        for number in re.findall(r'class="topic"><a href="/admin/messages/(\d+)/"', rows)
    ]


def link(page: str, rel: str) -> str:
    """Return where the link to another page leads."""
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    assert found, rel
    return html.unescape(found[1])
