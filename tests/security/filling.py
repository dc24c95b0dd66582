"""Rows for every table, each text column filled with a given text, as plain SQL may do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Engine, Float, Integer, LargeBinary, Table, insert

from database import publications, reasons
from database.base import Base
from database.clock import database_now
from database.models import CommandResult
from database.publications import Properties, Publication
from database.types import EncryptedText, UTCDateTime, Word
from database.words import CommandKind, CommandState
from tests.web import rows

#: Tables whose rows the migrations or the application make.
MADE_ELSEWHERE = frozenset({"config_version", "role", "role_user"})
BOOT = rows.BOOT


def fill(engine: Engine, text: str) -> None:
    """Write rows into every table but `MADE_ELSEWHERE`."""
    for name, values in _rows(text):
        write(engine, name, text, values)


def fill_events(engine: Engine, text: str) -> None:
    """Write an event for every reason that there is."""
    for code in sorted(reasons.REASONS):
        detail = dict.fromkeys(_places(code), text)
        write(engine, "connection_event", text, {"reason_code": code, "detail": detail})


def write(engine: Engine, name: str, text: str, values: Mapping[str, Any]) -> None:
    """Insert one row; columns that are not given hold `text` or what is next to it.

    Values for columns that the table lacks are left out.
    """
    table = Base.metadata.tables[name]
    filled = {column.name: _value(table, column, text) for column in table.c}
    filled |= {key: item for key, item in values.items() if key in filled}
    with engine.begin() as transaction:
        transaction.execute(
            insert(table).values(**{key: item for key, item in filled.items() if item is not ...})
        )


def _value(table: Table, column: Column[Any], text: str) -> Any:
    """Return what fills a column; `...` leaves it out."""
    if column.primary_key and column.autoincrement is not False and column.name == "id":
        return ...
    if column.name.endswith("_id") and isinstance(column.type, Integer):
        return 1
    kind = column.type
    if isinstance(kind, Word):
        return next(iter(kind.words))
    if isinstance(kind, UTCDateTime):
        return database_now(-0.5)
    if isinstance(kind, JSON):
        return {text: text}
    if isinstance(kind, LargeBinary):
        return text.encode("utf-8", "surrogatepass")
    if isinstance(kind, Boolean | Integer | Float):
        return 1 if not isinstance(kind, Boolean) else True
    return _number(table, column, text)


def _number(table: Table, column: Column[Any], text: str) -> Any:
    """Return `text`, or 1 for ids that hide behind a type of their own."""
    if str(column.type).upper().startswith("BIGINT"):
        return 1
    if isinstance(column.type, EncryptedText) and table.name == "command":
        return None
    return text


def _places(code: str) -> set[str]:
    """Return the names of what fills the sentences of a reason."""
    return {*re.findall(r"\{(\w+)", repr(reasons.REASONS[code])), "host", "port"}


def _rows(text: str) -> list[tuple[str, dict[str, Any]]]:
    return [*_wishes(text), *_facts(text), *_commands(text), *_messages(text), *_people(text)]


def _wishes(text: str) -> list[tuple[str, dict[str, Any]]]:
    usable = {"port": 1883, "protocol": "auto", "keepalive_s": 5, "tls": False, "status_qos": 1}
    return [
        ("connection", {**usable, "name": text}),
        ("connection", {**usable, "name": f"{text} 2", "tls_ca_pem": None, "is_enabled": False}),
        ("connection", {"name": f"{text} 3", "password": None}),
        ("subscription", {"qos": 1}),
        ("subscription", {"connection_id": 3}),
    ]


def _facts(text: str) -> list[tuple[str, dict[str, Any]]]:
    detail = dict.fromkeys(("host", "port", "client_id", "topic_filter", "reason"), text)
    return [
        ("worker_heartbeat", {"boot_id": BOOT, "state": "running", "worker_id": text}),
        ("worker_heartbeat", {"boot_id": text, "beat_at": database_now(-900.0), "worker_id": "2"}),
        ("worker_lease", {"boot_id": BOOT, "expires_at": database_now(60.0)}),
        (
            "connection_status",
            {"boot_id": BOOT, "state": "cooldown", "reason_code": "refused", "detail": detail},
        ),
        ("connection_status", {"connection_id": 3, "boot_id": BOOT, "state": "connected"}),
        ("subscription_status", {}),
        ("connection_event", {"reason_code": "dns_failed", "detail": detail}),
        ("connection_traffic", {"seconds": 60, "starts_at": _this_minute()}),
        ("connection_traffic", {"seconds": 60, "connection_id": 0, "starts_at": _this_minute()}),
        ("message_totals", {}),
        ("intake_mark", {}),
        ("write_mark", {}),
        ("unreleased_message", {}),
    ]


def _commands(text: str) -> list[tuple[str, dict[str, Any]]]:
    properties = Properties(content_type=text, response_topic=text, user_properties=((text, text),))
    wanted = Publication(text, text.encode(), 1, properties=properties)
    published = {**publications.to_json(wanted), "connection": text, "entered": {}}
    outcome = {**rows.failed_test(text), "client_id": text, "detail": {"step": text}}
    outcome["certificate"] = {"subject": text, "expires_at": text}
    finished = {"boot_id": BOOT, "finished_at": database_now()}
    return [
        ("command", {"kind": CommandKind.TEST}),
        ("command", {"kind": CommandKind.PUBLISH, "parameters": json.dumps(published)}),
        ("command", {"kind": CommandKind.RECONNECT}),
        ("command", {"kind": CommandKind.PUBLISH, "parameters": text}),
        (
            CommandResult.__tablename__,
            {**finished, "command_id": 1, "state": CommandState.FAILED, "result": outcome},
        ),
        (
            CommandResult.__tablename__,
            {**finished, "command_id": 2, "state": CommandState.DONE, "result": {"code": text}},
        ),
    ]


def _messages(text: str) -> list[tuple[str, dict[str, Any]]]:
    asked = {"qos": 1, "topic": text}
    return [
        ("message", asked),
        ("message", {**asked, "payload": json.dumps({text: [text]}).encode()}),
        ("message", {**asked, "payload": b"\xff" + text.encode(), "properties": {text: [text]}}),
        ("message", {"properties": {"content_type": text, "user_property": [[text, text]]}}),
        ("dead_letter", {"topic": b"\xff" + text.encode()}),
    ]


def _people(text: str) -> list[tuple[str, dict[str, Any]]]:
    account = {"tf_primary_method": None, "tf_totp_secret": None, "mf_recovery_codes": None}
    changes: dict[str, Any] = {text: [text, text], "host": [text, None], "password": [None, "set"]}
    actions = ("connection.update", "command.publish", "account.create", "session.refused", text)
    kinds = ("connection", "command", "account", "session", text)
    return [
        ("user_account", {**account, "email": text, "active": True}),
        ("user_session", {"expires_at": database_now(3600.0)}),
        *(
            ("audit_entry", {"action": action, "subject_kind": kind, "changes": changes})
            for action, kind in zip(actions, kinds, strict=True)
        ),
    ]


def _this_minute() -> datetime:
    now = datetime.now(UTC)
    return now.replace(second=0, microsecond=0) - timedelta(minutes=1)
