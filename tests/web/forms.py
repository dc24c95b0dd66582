"""What a browser sends for a connection record, and what it reads in the answer."""

from __future__ import annotations

import html
import re
from typing import Any

from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

LIST = "/admin/connections/"
NEW = LIST + "new/"
SECRET = "canary-9f1c-password"
_ERROR = re.compile(r'class="error" id="([\w-]+)-error">([^<]*)<')


def form(**values: Any) -> dict[str, Any]:
    """Return what a browser sends for a good record, with differences; None leaves out."""
    fields: dict[str, Any] = {
        "name": "plant-1",
        "site": "site_88",
        "host": "broker.example",
        "port": "1883",
        "client_id": "{site}_{hostname}",
        "is_enabled": "y",
        "notes": "",
        "username": "",
        "password": "",
        "tls_verify": "y",
        "tls_ca_pem": "",
        "tls_client_cert_pem": "",
        "tls_client_key_pem": "",
        "status_topic": "{site}/backend/status",
        "online_payload": "online",
        "offline_payload": "offline",
        "status_qos": "1",
        "status_retain": "y",
        "announce_who": "y",
        "self_ping_s": "0",
        "protocol": "auto",
        "keepalive_s": "5",
        "connect_timeout_s": "10",
        "clean_session": "y",
        "session_expiry_s": "0",
        "keep_messages_days": "0",
        "keep_messages_mb": "0",
    }
    return {key: value for key, value in (fields | values).items() if value is not None}


def filters(*wanted: str, qos: str = "1") -> dict[str, str]:
    """Return the fields of subscriptions."""
    found = {}
    for index, topic_filter in enumerate(wanted):
        found[f"subscriptions-{index}-topic_filter"] = topic_filter
        found[f"subscriptions-{index}-qos"] = qos
        found[f"subscriptions-{index}-is_enabled"] = "y"
    return found


def errors(answer: TestResponse) -> dict[str, str]:
    """Return the sentences by field."""
    return {field: html.unescape(sentence) for field, sentence in _ERROR.findall(answer.text)}


def one(engine: Engine, statement: str) -> Any:
    with engine.connect() as transaction:
        return transaction.execute(text(statement)).scalar_one()
