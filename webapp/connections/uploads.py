"""Files that somebody is asked about before they are applied; kept in memory, encrypted.

A file of connections may hold secrets: it must not go back to the browser inside a page,
nor wait in the database.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from database import encryption

#: How long a file waits for its answer, seconds; how many wait at most, and how many of one owner.
LASTS, MOST, MOST_OF_OWNER = 900.0, 8, 2


@dataclass(frozen=True, slots=True)
class _Upload:
    owner: str
    encrypted: str
    until: float


class Uploads:
    """The files of one process; the oldest goes when there are too many, one's own first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Upload] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, owner: str, text: str) -> str:
        """Keep a file of `owner` for a while; return what it is asked back with."""
        token = secrets.token_urlsafe(16)
        upload = _Upload(owner, encryption.encrypt(text), time.monotonic() + LASTS)
        with self._lock:
            self._drop_old()
            self._kept[token] = upload
            mine = [each for each, kept in self._kept.items() if kept.owner == owner]
            for each in mine[:-MOST_OF_OWNER]:
                del self._kept[each]
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return token

    def take(self, owner: str, token: str) -> str | None:
        """Return a file once, None if it is gone or somebody else's."""
        with self._lock:
            self._drop_old()
            found = self._kept.get(token)
            if found is None or found.owner != owner:
                return None
            del self._kept[token]
        return encryption.decrypt(found.encrypted)

    def _drop_old(self) -> None:
        now = time.monotonic()
        for token in [token for token, upload in self._kept.items() if upload.until < now]:
            del self._kept[token]
