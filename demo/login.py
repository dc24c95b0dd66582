"""The login of the demo broker: a fixed user and a password made on the first run.

Standard library only: `manage.py run` makes the password before anything is installed.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

USER = "demo"
HOST = "127.0.0.1"
DEFAULT_PORT = 18830
#: Holds the password, in HAWSER_HOME.
PASSWORD_FILE = "demo-broker-password"  # noqa: S105 - a file name


def port() -> int:
    """Return HAWSER_DEMO_BROKER_PORT. Raises ValueError with a sentence for a bad one."""
    text = os.environ.get("HAWSER_DEMO_BROKER_PORT") or str(DEFAULT_PORT)
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        msg = "HAWSER_DEMO_BROKER_PORT must be a port number from 1 to 65535"
        raise ValueError(msg)
    return int(text)


def prepare(home: Path) -> Path:
    """Return the password file in `home`; make it, readable by its owner only, if missing."""
    path = home / PASSWORD_FILE
    if path.is_file() and path.stat().st_size > 0:
        return path
    # Never visible half-written or with wider rights.
    draft = home / f".{PASSWORD_FILE}.{os.getpid()}"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        file.write(secrets.token_urlsafe(24) + "\n")
    draft.replace(path)
    return path
