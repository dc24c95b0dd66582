"""Why a database refuses: in its own words, and whether waiting can help.

The words are for the log and the terminal of whoever runs Hawser. They name host and user;
the answers to anonymous callers do not have them.
"""

from __future__ import annotations

import os
import re
import select
import sqlite3
import time

from psycopg import DataError, Error, conninfo, pq
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database.session import POSTGRESQL_CONNECT_ARGUMENTS, POSTGRESQL_CONNECT_TIMEOUT
from database.visible import one_line

LONGEST_WORDS = 500
#: Connections, logins, names and rights, resources, states of the server.
_CLASSES_WITHOUT_VALUES = frozenset({"08", "25", "28", "3D", "3F", "42", "53", "55", "57", "58"})
#: SQLSTATE, or its first two characters -> what helps. Where none is found, waiting may.
_CURES = {
    "28P01": "correct the user and the password in it",
    "28": "correct the user in it, or let the role and pg_hba.conf admit this login "
    "(where they ask for TLS, add ?sslmode=require to it)",
    "3D000": "correct the database's name in it, or make the database: "
    "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
    "55000": "name a database in it that accepts connections",
    "22023": "correct the start-up parameter in it or in PGOPTIONS",
    "42704": "remove the start-up parameter from it or from PGOPTIONS",
    "42": "give its role all rights in a database of Hawser's own",
    "57P05": "turn idle_session_timeout off for its role, its database or the server",
    "0A000": "name a server in it that speaks the protocol of PostgreSQL 14 or newer",
}
#: What libpq and poolers say without such a code.
_CURES_BY_WORDS = {
    "no password supplied": _CURES["28P01"],
    "authentication failed": _CURES["28P01"],
    "SSL was required": "let the server offer TLS, or take sslmode out of it",
    "SSL required": "add ?sslmode=require to it",
    "SSL negotiation": "name the port of a PostgreSQL server in it",
    "certificate": "correct the certificates that it names, or what the server shows",
    "private key": "correct the key that it names",
    "authentication method": "correct require_auth in it",
    "channel binding": "correct channel_binding in it",
    "invalid connection option": "remove the option from it",
    "invalid ": "correct the option in it",
    "no such database": _CURES["3D000"],
    "does not exist": _CURES["3D000"],
    "no such user": _CURES["28P01"],
    "pooling mode": "set pool_mode = session in the pooler, or name PostgreSQL itself in it",
    "startup parameter": "remove the start-up parameter from it or from PGOPTIONS",
}
#: The words of a pooler whose answers all have one code.
_PROTOCOL_VIOLATION = "08P01"
_ERROR_RESPONSE = re.compile(r'ErrorResponse\t S "[^"]*"(?: V "[^"]*")? C "(\w{5})"')


def words(error: Exception) -> str:
    """Return the words of the database or its driver where they hold no value, else the kind."""
    found = getattr(error, "orig", None)
    if isinstance(found, sqlite3.DatabaseError):
        return one_line(str(found), LONGEST_WORDS)
    if not isinstance(found, Error) or isinstance(found, DataError):
        return type(error).__name__
    text = str(found)
    if found.sqlstate is not None:
        is_told = found.sqlstate[:2] in _CLASSES_WITHOUT_VALUES
        text = (is_told and found.diag.message_primary) or type(error).__name__
    text = " ".join(text.split()).removeprefix("connection failed: ")
    return one_line(text, LONGEST_WORDS) or type(error).__name__


def cure(engine: Engine, error: SQLAlchemyError) -> str | None:
    """Return what must be done about HAWSER_DATABASE_URL; None if waiting may help.

    May try to connect once more, to learn the code of the refusal.
    """
    found = getattr(error, "orig", None)
    if not isinstance(found, Error) or isinstance(found, ConnectionTimeout):
        return None
    code = found.sqlstate or _sqlstate_of_a_try(engine)
    if code and code != _PROTOCOL_VIOLATION:
        return _CURES.get(code) or _CURES.get(code[:2])
    said = str(found)
    return next((help_ for phrase, help_ in _CURES_BY_WORDS.items() if phrase in said), None)


def _sqlstate_of_a_try(engine: Engine) -> str | None:
    """Return the code with which the server refuses a connection.

    A failed connection has words only, and those in the server's language. The code is in
    libpq's trace, which stays in memory: it may hold a password.
    """
    _, arguments = engine.dialect.create_connect_args(engine.url)
    arguments.pop("context", None)
    trace = os.memfd_create("trace")
    try:
        info = conninfo.make_conninfo("", **{**arguments, **POSTGRESQL_CONNECT_ARGUMENTS})
        _connect(pq.PGconn.connect_start(info.encode()), trace)
        codes = _ERROR_RESPONSE.findall(os.pread(trace, 1 << 20, 0).decode(errors="replace"))
    except (Error, OSError):
        return None
    finally:
        os.close(trace)
    return codes[-1] if codes else None


def _connect(connection: pq.abc.PGconn, trace: int) -> None:
    """Connect until that has succeeded, failed or taken too long, with a trace of it."""
    deadline = time.monotonic() + POSTGRESQL_CONNECT_TIMEOUT
    try:
        connection.trace(trace)
        while (left := deadline - time.monotonic()) > 0:
            status = connection.connect_poll()
            if status == pq.PollingStatus.READING:
                select.select([connection.socket], [], [], left)
            elif status == pq.PollingStatus.WRITING:
                select.select([], [connection.socket], [], left)
            else:
                return
    finally:
        connection.untrace()
        connection.finish()
