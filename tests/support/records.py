"""Connection records as plain mappings, whole and right unless told otherwise."""

from __future__ import annotations

from typing import Any


def record(**values: Any) -> dict[str, Any]:
    """Return every column of a connection that `database.rules` looks at."""
    whole: dict[str, Any] = {
        "id": 7,
        "name": "plant-7",
        "site": "site_88",
        "host": "broker.example",
        "port": 1883,
        "is_enabled": True,
        "protocol": "auto",
        "client_id": "{site}_{hostname}",
        "clean_session": True,
        "session_expiry_s": 0,
        "keepalive_s": 5,
        "connect_timeout_s": 10,
        "tls": False,
        "tls_verify": True,
        "tls_ca_pem": None,
        "tls_client_cert_pem": None,
        "tls_client_key_pem": None,
        "username": None,
        "password": None,
        "status_topic": "{site}/backend/status",
        "online_payload": "online",
        "offline_payload": "offline",
        "status_qos": 1,
        "status_retain": True,
        "announce_who": True,
        "self_ping_s": 0,
        "keep_messages_days": 0,
        "keep_messages_mb": 0,
    }
    return whole | values
