"""Connections to and from JSON: everything or nothing, secrets in but never out.

The file is a list of objects with the columns of `connection` and, if wanted,
`subscriptions: [{"topic_filter", "qos", "is_enabled", "expected_every_s"}]`. Records are
matched by name: a new name is created, a known one changed in the given fields only.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from database import pem
from database.models import Connection
from database.session import make_engine
from database.settings import Settings, load
from ops import standard_streams
from webapp import columns, store
from webapp.connections import import_text, importing, records, subscriptions
from webapp.connections.import_text import NoTextError
from webapp.connections.importing import RejectedError
from webapp.front import errors

#: Errors that are written before the rest is only counted.
SHOWN_ERRORS = 100
EXPORT_FAILED = "the export failed"


def import_file(path: str) -> int:
    """Apply a file; return the exit status."""
    settings = load(Settings)
    with _engine(settings) as engine:
        try:
            items = importing.parse(_read(path))
            with store.writing(engine) as transaction:
                created, changed, same = importing.apply(transaction, items, settings.hostname)
        except RejectedError as error:
            return _complain(error.lines)
        except SQLAlchemyError as error:
            return _complain([errors.database_problem(error, engine, in_own_words=True)])
    sys.stdout.write(f"{created} created, {changed} changed, {same} already so.\n")
    return 0


def export_file(path: str) -> int:
    """Write all connections without secrets to `path`, `-` for stdout; return the exit status."""
    with _engine(load(Settings)) as engine:
        try:
            with store.reading(engine) as transaction:
                text = (
                    json.dumps(export(transaction), ensure_ascii=False, indent=2, default=str)
                    + "\n"
                )
        except SQLAlchemyError as error:
            problem = errors.database_problem(error, engine, in_own_words=True)
            return _complain([problem], EXPORT_FAILED)
    if path == "-" and standard_streams.was_closed("stdout"):
        words = "standard output is closed; name a file to write to"
        return _complain([words], EXPORT_FAILED)
    try:
        if path == "-":
            # As the import reads it, whatever the terminal is set to.
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
        else:
            _write_private(Path(path), text)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "standard output" if path == "-" else path
        return _complain([f"{where}: {error.strerror}"], EXPORT_FAILED)
    return 0


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, also where one was that others may."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o600)
        file.write(text)


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings.database_url.get_secret_value())
    try:
        yield engine
    finally:
        engine.dispose()


def _complain(lines: Sequence[str], ending: str = "nothing was changed") -> int:
    for line in lines[:SHOWN_ERRORS]:
        sys.stderr.write(f"hawser: {_visible(line)}\n")
    if len(lines) > SHOWN_ERRORS:
        sys.stderr.write(f"hawser: and {len(lines) - SHOWN_ERRORS} more\n")
    sys.stderr.write(f"hawser: {ending}\n")
    return 1


def _visible(line: str) -> str:
    """Return a line in which nothing moves the cursor of a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _read(path: str) -> str:
    if path == "-" and standard_streams.was_closed("stdin"):
        raise RejectedError(["standard input is closed; name a file to read"])
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return import_text.decoded(content)
    except OSError as error:
        raise RejectedError([f"{path}: {error.strerror}"]) from None
    except NoTextError as error:
        where = "standard input" if path == "-" else path
        raise RejectedError([f"{where}: {error}"]) from None


def export(transaction: Transaction) -> list[records.Values]:
    """Return all connections as the import takes them, by name, without secrets."""
    rows = transaction.execute(
        select(
            columns.raw(Connection.id),
            *(columns.raw(getattr(Connection, key)) for key in records.PLAIN_FIELDS),
        ).order_by(Connection.name)
    )
    result = {row.id: dict(row._mapping) for row in rows}
    for record in result.values():
        del record["id"]
        record["subscriptions"] = []
        # Plain SQL may have written a key there.
        record.update({field: pem.shown(record[field]) for field in pem.PUBLIC_FIELDS})
        records.read_flags(record)
    for connection_id, item in subscriptions.of_all(transaction):
        if connection_id in result:
            result[connection_id]["subscriptions"].append(item)
    return list(result.values())
