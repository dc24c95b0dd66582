"""The guard of an SQLite file: opens it where it is, makes none, and misses it when it is gone.

A process goes on with a file that it has opened, also after somebody removed, moved or
replaced it; nobody else sees what is committed there. So every transaction first compares
the files that its connection has opened with those that the path names. A file that comes
back, or another one in its place, is opened anew; until then every transaction fails with
one sentence.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from database.sqlite_file import (
    FOREIGN_LOG,
    INDEX,
    LOG,
    LOG_GONE,
    MISSING,
    OVERWRITTEN,
    REPLACED,
    DatabaseFileError,
    OpenFiles,
    beside,
    difference,
    file_id,
    id_of,
    make_private,
    path_of,
)

#: How the log is called of a file that was replaced by another.
ASIDE = ".replaced"
_OPENED, _TO_OPEN = "hawser-opened-files", "hawser-file-to-open"


def watch(engine: Engine) -> None:
    """Make `engine` open its file only where it exists, and notice when it is gone."""
    path = path_of(engine.url)
    if path is not None:
        _guards[engine] = SQLiteFileGuard(engine, path)


def generation(engine: Engine) -> int:
    """Return how often `engine` went on with another file."""
    guard = _guards.get(engine)
    return 0 if guard is None else guard.generation


def require_same_file(transaction: Transaction) -> None:
    """Check that the files that `transaction` wrote to are in their place.

    Call it after the COMMIT, before anybody is told that something is stored. Raises
    OperationalError.
    """
    opened: _Opened | None = transaction.info.get(_OPENED)
    if opened is None:
        return
    driver: Any = transaction.connection.driver_connection
    try:
        opened.guard.require(opened.files, driver)
    except DatabaseFileError as error:
        raise OperationalError(None, None, error) from None


class _Opened(NamedTuple):
    """The files that a connection of the pool has open."""

    guard: SQLiteFileGuard
    files: OpenFiles
    #: Which pool it belongs to: each new one counts.
    pool: int


class SQLiteFileGuard:
    """Watches the file of one engine, on whichever thread uses it."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = ref(engine)
        self._path = path
        #: What the path names when links are followed, as SQLite does; its log lies beside.
        self._real = path
        #: The files of the connection that was opened last.
        self._last: OpenFiles | None = None
        #: The largest size of the file that was seen, bytes; whether it has lost pages since.
        self._size = 0
        self._is_overwritten = False
        self._pool = 0
        #: What the pools know of the connections that they opened.
        self._records: WeakSet[Any] = WeakSet()
        #: A connection whose log was removed and could not be saved yet, and its files.
        self._unsaved: tuple[sqlite3.Connection, OpenFiles] | None = None
        #: The log of a file that is gone, held open until another file takes its place.
        self._pinned: int | None = None
        self.generation = 0
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._after_connect)
        event.listen(engine, "checkout", self._on_checkout)
        event.listen(engine, "checkin", self._on_checkin)

    def require(self, opened: OpenFiles, connection: sqlite3.Connection) -> None:
        """Raise DatabaseFileError unless the files of a connection are whole and in place."""
        if (now := self._look()) != opened:
            raise DatabaseFileError(difference(opened, now))
        self._require_whole(connection)

    def _require_whole(self, connection: sqlite3.Connection) -> None:
        if self._is_cut_off(connection):
            raise DatabaseFileError(OVERWRITTEN)

    def _look(self) -> OpenFiles:
        """Return the files that the path names now."""
        # The database by the name that people gave: a link may lead elsewhere by now.
        database, real = file_id(self._path), self._real
        return OpenFiles(database, file_id(beside(real, LOG)), file_id(beside(real, INDEX)))

    # --- events of the pool

    def _before_connect(
        self, _dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]
    ) -> None:
        self._real = Path(os.path.realpath(self._path))
        now = self._look()
        if now.database is None:
            raise DatabaseFileError(MISSING)
        if self._is_overwritten and self._last and self._last.database == now.database:
            raise DatabaseFileError(OVERWRITTEN)
        self._require_log_left(now)
        self._set_foreign_log_aside(now)
        arguments[0] = f"file:{quote(os.fsencode(self._real))}?mode=rw"
        options["uri"] = True
        record.info[_TO_OPEN] = now.database

    def _after_connect(self, connection: Any, record: Any) -> None:
        # The log is opened by the first question.
        connection.execute("PRAGMA schema_version").fetchone()
        # Only now is it certain that the file is a database, and not one that others need.
        for name in (self._real, beside(self._real, LOG), beside(self._real, INDEX)):
            make_private(name)
        files = self._look()
        if files.database != record.info.pop(_TO_OPEN):
            connection.close()
            raise DatabaseFileError(REPLACED)
        if self._last is not None and self._last.database != files.database:
            self.generation += 1
            self._size, self._is_overwritten = 0, False
        self._last = files
        self._records.add(record)
        self._unpin_log()
        record.info[_OPENED] = _Opened(self, files, self._pool)

    def _on_checkout(self, connection: Any, record: Any, _proxy: Any) -> None:
        opened: _Opened | None = record.info.get(_OPENED)
        if opened is None:
            return
        if (now := self._look()) == opened.files:
            self._require_whole(connection)
            return
        if _save_log(connection) or now.database != opened.files.database:
            self._let_go(opened.files, now)
        else:
            self._keep(record)
        raise DatabaseFileError(difference(opened.files, now))

    def _on_checkin(self, _connection: Any, record: Any) -> None:
        opened: _Opened | None = record.info.get(_OPENED)
        if opened is not None and opened.pool != self._pool:
            record.invalidate()

    def _begin_new_pool(self) -> None:
        """Close what this process has open: its other connections hold the same files."""
        self._pool += 1
        if (engine := self._engine()) is not None:
            engine.dispose()

    # --- a log that was removed

    def _let_go(self, opened: OpenFiles, now: OpenFiles) -> None:
        """Leave files that are no longer in their place."""
        if now.database != opened.database:
            if now.log == opened.log:
                self._pin_log()
        elif now.log != opened.log and now.log_index == opened.log_index:
            # It tells of pages in a log that is not there.
            self._set_aside(INDEX)
        self._begin_new_pool()

    def _keep(self, record: Any) -> None:
        """Take a connection from the pool, which would close it: nobody else may have its log."""
        if self._unsaved is None:
            self._unsaved = record.dbapi_connection, record.info[_OPENED].files
            record.dbapi_connection = None

    def _require_log_left(self, now: OpenFiles) -> None:
        """Raise DatabaseFileError while this process has another log of the database open.

        SQLite keeps one index of the log for a whole process: a connection with the old log
        would write pages of that over what others commit into the new one.
        """
        if self._unsaved is not None:
            connection, opened = self._unsaved
            if now.database == opened.database and not _save_log(connection):
                raise DatabaseFileError(LOG_GONE)
            self._unsaved = None
            connection.close()
            self._let_go(opened, now)
            raise DatabaseFileError(difference(opened, now))
        held = [each.info.get(_OPENED) for each in list(self._records) if each.dbapi_connection]
        for other in (each.files for each in held if each is not None):
            if other.database == now.database and other != now:
                raise DatabaseFileError(LOG_GONE)

    # --- a file that is written over

    def _is_cut_off(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file has lost pages: somebody copied another one over it.

        Nothing but VACUUM makes it smaller, and after that it has all the pages it should have.
        """
        before, size = self._size, self._path_size()
        if size < before and size < _bytes_of(connection):
            # For good: a connection that is opened now does not know how large it was.
            self._is_overwritten = True
        self._size = size
        return self._is_overwritten

    def _path_size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            raise DatabaseFileError(MISSING) from None

    # --- the log of a file that is gone

    def _pin_log(self) -> None:
        """Keep the log open, so that no other file gets its inode and is taken for it."""
        if self._pinned is None:
            with suppress(OSError):
                self._pinned = os.open(beside(self._real, LOG), os.O_RDONLY | os.O_CLOEXEC)

    def _set_foreign_log_aside(self, now: OpenFiles) -> None:
        """Keep the log of one file from being played into another: SQLite would not notice."""
        if (pinned := self._pinned) is None:
            return
        is_other = self._last is not None and self._last.database != now.database
        if is_other and now.log == id_of(os.fstat(pinned)):
            self._set_aside(LOG)
            self._set_aside(INDEX)

    def _set_aside(self, ending: str) -> None:
        name = beside(self._real, ending)
        try:
            name.rename(beside(name, ASIDE))
        except FileNotFoundError:
            pass  # Another process has done it.
        except OSError:
            raise DatabaseFileError(FOREIGN_LOG) from None

    def _unpin_log(self) -> None:
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            os.close(pinned)


def _bytes_of(connection: sqlite3.Connection) -> int:
    """Return how large the file of a database should be."""
    query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.execute(query).fetchone()[0])


def _save_log(connection: sqlite3.Connection) -> bool:
    """Bring all that the log holds into its database; return whether that was possible.

    Of a log that was removed or set aside only those can who have it open.
    """
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    except sqlite3.Error:
        return False
    return not busy


_guards: WeakKeyDictionary[Engine, SQLiteFileGuard] = WeakKeyDictionary()
