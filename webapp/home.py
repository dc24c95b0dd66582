"""HAWSER_HOME in the demo environment: the keys that production must bring itself."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from database import encryption
from database.settings import ENCRYPTION_KEYS_FILE, SECRET_KEY_FILE

#: Random bytes of a generated HAWSER_SECRET_KEY.
SECRET_KEY_BYTES = 48


def prepare(home: Path) -> None:
    """Make the directory (0700) and the key files (0600) that are missing."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep(home / SECRET_KEY_FILE, secrets.token_urlsafe(SECRET_KEY_BYTES))
    keep(home / ENCRYPTION_KEYS_FILE, encryption.new_key())


def keep(path: Path, text: str) -> bool:
    """Write `text` to a new file that only its owner may read; False if there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return True
