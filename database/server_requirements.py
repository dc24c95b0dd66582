"""Requirements that a PostgreSQL server must meet, checked over a connection to it."""

from __future__ import annotations

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, text

from database.sentences import Sentence, say

_ABOUT_THE_SERVER = text(
    "SELECT current_setting('server_encoding'), current_setting('transaction_read_only'), "
    "pg_is_in_recovery(), current_setting('session_replication_role'), "
    "coalesce(current_schema(), '')"
)
#: Schemas of the server itself: what search_path leads to if it leads nowhere of ours.
_SCHEMAS_OF_THE_SERVER = ("pg_", "information_schema")
_SOURCE = text("SELECT source FROM pg_settings WHERE name = :name")
#: Where a setting comes from -> what puts it right. No names: anonymous callers read it too.
_CURES = {
    "database": "ALTER DATABASE ... RESET {name}",
    "user": "ALTER ROLE ... RESET {name}",
    "database user": "ALTER ROLE ... IN DATABASE ... RESET {name}",
    "global": "ALTER ROLE ALL RESET {name}",
    "client": "HAWSER_DATABASE_URL, PGOPTIONS",
}
_BACKEND = text("SELECT pg_backend_pid()")
#: How often two connections are compared: the pooler of a busy server gives each another one.
_LOOKS = 3


def unmet(engine: Engine, transaction: Transaction) -> Sentence | None:
    """Return one sentence on what the server behind `transaction` lacks, or None.

    Ends the transaction. Raises SQLAlchemyError.
    """
    found = transaction.execute(_ABOUT_THE_SERVER).one()
    encoding, read_only, is_standby, replication_role, schema = found
    if encoding != "UTF8":
        return say(
            "HAWSER_DATABASE_URL names a database with the encoding {encoding}, and Hawser needs "
            "UTF8; make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            encoding=encoding,
        )
    if is_standby:
        return say(
            "HAWSER_DATABASE_URL names a standby server, which takes no writes; "
            "name the primary server"
        )
    if read_only == "on":
        return say(
            "HAWSER_DATABASE_URL names a database that takes no writes: "
            "default_transaction_read_only is on; turn it off for the role, the database or "
            "the server, for example with ALTER DATABASE ... RESET default_transaction_read_only"
        )
    if replication_role != "origin":
        return say(
            "HAWSER_DATABASE_URL leads to a session with session_replication_role = {value}, in "
            "which the server does not check the references between tables; correct that where "
            "it is set: {cure}",
            value=replication_role,
            cure=_cure(transaction, "session_replication_role"),
        )
    if not schema or schema.startswith(_SCHEMAS_OF_THE_SERVER):
        # Without a choice of somebody's own a right is missing, and the set-up names it.
        cure = _cure(transaction, "search_path")
        if cure is not None:
            return say(
                "HAWSER_DATABASE_URL leads to a session whose search_path names no schema that "
                "exists, may be used and can hold tables; make that schema, or correct the "
                "search_path where it is set: {cure}",
                cure=cure,
            )
    if _is_pooled_by_transaction(engine, transaction):
        return say(
            "HAWSER_DATABASE_URL leads to a pooler that gives each transaction another session "
            "of the server (pool_mode = transaction in PgBouncer), and Hawser's locks and "
            "settings would be lost; set pool_mode = session there, or name PostgreSQL itself"
        )
    return None


def _cure(transaction: Transaction, name: str) -> str | None:
    """Return what takes back somebody's choice of a setting, None for the server's default."""
    source = transaction.scalar(_SOURCE, {"name": name})
    return None if source == "default" else _CURES.get(source, "postgresql.conf").format(name=name)


def _is_pooled_by_transaction(engine: Engine, idle: Transaction) -> bool:
    """Whether another connection gets the session of `idle`, or `idle` another one meanwhile."""
    own = _backend(idle)
    if own == idle.connection.driver_connection.info.backend_pid:  # type: ignore[union-attr]
        # A pooler makes up the number that it tells with the connection.
        return False
    for _ in range(_LOOKS):
        with engine.connect() as busy:
            if busy.scalar(_BACKEND) == own or _backend(idle) != own:
                return True
    return False


def _backend(transaction: Transaction) -> object:
    """Return the server's process of a transaction, and end that."""
    number = transaction.scalar(_BACKEND)
    transaction.rollback()
    return number
