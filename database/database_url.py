"""`HAWSER_DATABASE_URL`, read. What is wrong is told without a part of it: it holds a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

_MUST = (
    "must look like postgresql://user:password@host:5432/database or sqlite:////path/hawser.db, "
    "with every special character of the user name and the password percent-encoded "
    "(@ as %40, : as %3A, / as %2F, # as %23, ? as %3F, % as %25)"
)
_POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_LAST_PORT = 65_535
#: Host names, addresses and directories of sockets; an @ here would be a part of a password.
_HOST = re.compile(r"[^\s@?#%,\[\]]+(%[A-Za-z0-9_.-]+)?")
#: An option whose name may be repeated to people.
_OPTION = re.compile(r"[a-z_]{1,40}")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_YES_NO = ("0", "1")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: What libpq takes for each option that does not take everything.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "sslcompression": _YES_NO,
    "sslsni": _YES_NO,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "gssencmode": ("disable", "prefer", "require"),
    "gssdelegation": _YES_NO,
    "channel_binding": ("disable", "prefer", "require"),
    "keepalives": _YES_NO,
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
    "load_balance_hosts": ("disable", "random"),
}
_NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    }
)


def read_database_url(text: str) -> URL:
    """Return the address that `text` spells. Raises ValueError with a sentence."""
    url = _parse(text.strip())
    if url.drivername in _SQLITE:
        return _checked_sqlite(url)
    if url.drivername in _POSTGRESQL:
        return _checked_postgresql(url)
    raise ValueError(_MUST)


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _parse(text: str) -> URL:
    # A second @ is a part of the password or of nothing: what stands behind the first one
    # would be taken for the host, and shown to people as one.
    if not text.isprintable() or text.count("://") > 1 or text.count("@") > 1:
        raise ValueError(_MUST)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # SQLAlchemy's own words repeat what it could not read.
        raise ValueError(_MUST) from None
    if "%00" in text:
        # No path and no text of PostgreSQL holds this character.
        raise ValueError(_MUST)
    # What percent-encoding left undecodable.
    if any("\ufffd" in part for part in (url.username, url.password, url.database) if part):
        raise ValueError(_MUST)
    return url


def _checked_sqlite(url: URL) -> URL:
    if url.query:
        _refuse(
            "takes no options for SQLite; write a ? that belongs to the path of the file as %3F"
        )
    if url.host or url.username or url.port:
        _refuse("needs three slashes before the path of an SQLite file, four if it is absolute")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        _refuse(
            "must name a file, such as sqlite:////path/hawser.db: a database in memory cannot "
            "be shared by the web and the worker"
        )
    return url.set(database=str(Path(url.database or "").absolute()))


def _checked_postgresql(url: URL) -> URL:
    if url.host is not None and not _HOST.fullmatch(url.host):
        raise ValueError(_MUST)
    _check_host(url.host or "")
    if url.port is not None and not 1 <= url.port <= _LAST_PORT:
        _refuse("needs a port from 1 to 65535")
    if not url.database and "dbname" not in url.query:
        _refuse("names no database; write it behind the host: postgresql://user@host/database")
    for name, value in url.query.items():
        _check_option(name, value)
    return url.set(drivername="postgresql+psycopg")


def _check_host(host: str) -> None:
    # What the lookup of a name takes; a socket's directory is not looked up.
    if host.startswith("/"):
        return
    try:
        host.encode("idna")
    except UnicodeError:
        msg = "names a host with a part between dots that is empty or longer than 63 characters"
        raise ValueError(msg) from None


def _check_option(name: str, value: Any) -> None:
    # Several hosts are tried one after the other; every other option counts once.
    values = [value] if isinstance(value, str) else list(value)
    if name not in _known_options():
        # With an @ behind it, it may be a part of the password.
        shown = f" {name}" if "@" not in str(value) and _OPTION.fullmatch(name) else ""
        _refuse(f"has an option{shown} that PostgreSQL does not know; remove it from behind the ?")
    if len(values) > 1 and name not in ("host", "port"):
        _refuse(f"sets the option {name} more than once; write it once")
    if name in _CHOICES and values[0] not in _CHOICES[name]:
        _refuse(f"needs one of these values for the option {name}: {', '.join(_CHOICES[name])}")
    if name in _NUMBERS and not _NUMBER.fullmatch(values[0]):
        _refuse(f"needs a whole number for the option {name}")
    if name == "host":
        for host in values:
            _check_host(re.sub(r":[0-9]*$", "", host))
    if name == "port" and not all(map(_is_port, values)):
        _refuse("needs a port from 1 to 65535")


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,5}", text)) and 1 <= int(text) <= _LAST_PORT


def _known_options() -> frozenset[str]:
    # Only where it is needed: with SQLite the library is never loaded.
    from psycopg.pq import Conninfo

    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def _refuse(sentence: str) -> None:
    raise ValueError(sentence)
