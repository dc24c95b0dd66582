"""The SQLite file itself: where it is, who may read it, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from database.sentences import Sentence, say

#: Beside the file: the write-ahead log, and the index of it that processes share.
LOG, INDEX = "-wal", "-shm"
#: Only the owner reads and writes it.
PRIVATE = 0o600

MISSING = say(
    "the database cannot be reached: the SQLite file is missing, so nothing can be read or stored; "
    "put it back if it was moved or removed; where it never was, `python3 manage.py run` and the "
    "container make it at start"
)
REPLACED = say("the SQLite file was replaced while Hawser ran; the new one is being opened")
LOG_GONE = say(
    "the write-ahead log of the SQLite file (-wal, -shm) was removed while Hawser ran; "
    "what it held is being saved"
)
FOREIGN_LOG = say(
    "the SQLite file was replaced, but the write-ahead log beside it (-wal, -shm) belongs to the "
    "one before and cannot be set aside: stop Hawser, remove both, and start it again"
)
OVERWRITTEN = say(
    "the SQLite file was overwritten or cut off while Hawser ran: stop Hawser, remove its "
    "write-ahead log (-wal, -shm), put a good file in its place, and start Hawser again"
)


class DatabaseFileError(sqlite3.OperationalError):
    """The file cannot be used as it is; `sentence` says why. SQLAlchemy wraps it."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class FileId(NamedTuple):
    """Names one file, whatever its path."""

    device: int
    inode: int


class OpenFiles(NamedTuple):
    """The database, its log and its index; None for what is not there."""

    database: FileId | None
    log: FileId | None
    log_index: FileId | None


def path_of(url: URL) -> Path | None:
    """Return the file of an SQLite database, None for one in memory or on a server."""
    name = url.database
    in_memory = not name or name == ":memory:" or url.query.get("uri")
    if url.get_backend_name() != "sqlite" or in_memory:
        return None
    return Path(str(name)).absolute()


def create(engine: Engine) -> None:
    """Make an empty file that only its owner may read, if there is none. Raises OSError."""
    path = path_of(engine.url)
    if path is None:
        return
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))


def problem(error: Exception) -> Sentence | None:
    """Return what is wrong with the file if `error` tells that, else None."""
    cause = getattr(error, "orig", None) or error
    return cause.sentence if isinstance(cause, DatabaseFileError) else None


def make_private(path: Path) -> None:
    """Restrict an existing file to its owner, if this user owns it."""
    with suppress(OSError):
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077 and found.st_uid == os.geteuid():
            path.chmod(PRIVATE)


def difference(opened: OpenFiles, now: OpenFiles) -> Sentence:
    """Return a sentence on what happened to the files that were opened."""
    if now.database is None:
        return MISSING
    return LOG_GONE if now.database == opened.database else REPLACED


def file_id(path: Path) -> FileId | None:
    """Return which file a path names, None if it names none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return id_of(found) if stat.S_ISREG(found.st_mode) else None


def id_of(found: os.stat_result) -> FileId:
    """Return which file was looked at."""
    return FileId(found.st_dev, found.st_ino)


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file whose name has one more ending."""
    return path.with_name(path.name + ending)
