"""Rows of the tables `connection` and `subscription` as the database hands them over."""

from __future__ import annotations

from typing import Any

from database.encryption import UndecryptableError

GOOD_ROW: dict[str, Any] = {
    "id": 7,
    "name": "plant-7",
    "site": "site_88",
    "host": "broker.example",
    "port": 1883,
    "is_enabled": 1,
    "protocol": "auto",
    "tls": 0,
    "tls_verify": 1,
    "tls_ca_pem": None,
    "tls_client_cert_pem": None,
    "tls_client_key_pem": None,
    "username": None,
    "password": None,
    "client_id": "{site}_{hostname}",
    "clean_session": 1,
    "session_expiry_s": 0,
    "keepalive_s": 5,
    "connect_timeout_s": 10,
    "status_topic": "{site}/backend/status",
    "online_payload": "online",
    "offline_payload": "offline",
    "status_qos": 1,
    "status_retain": 1,
    "announce_who": 1,
    "self_ping_s": 0,
    "keep_messages_days": 0,
    "keep_messages_mb": 0,
    "notes": None,
    "revision": 3,
}


def row(**changes: Any) -> dict[str, Any]:
    """Return a good row with changes."""
    return {**GOOD_ROW, **changes}


def subscription(topic_filter: Any = "a/#", qos: Any = 1, is_enabled: Any = 1) -> dict[str, Any]:
    """Return a row of `subscription`."""
    return {"topic_filter": topic_filter, "qos": qos, "is_enabled": is_enabled}


def decrypt(ciphertext: str) -> str:
    """Stand in for the encryption: what begins with `sealed:` can be opened."""
    if not ciphertext.startswith("sealed:"):
        raise UndecryptableError
    return ciphertext.removeprefix("sealed:")
