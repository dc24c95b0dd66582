"""The settings of every PostgreSQL session, whatever server, database, role or PG* says.

The settings are made after the connection and not with it: PgBouncer refuses a start-up
packet with `options`, and PGTZ or PGDATESTYLE would win over them. `search_path` and
`default_transaction_read_only` stay as they were chosen: they say where the tables are
and that nobody may write. What would do harm there `server_requirements` refuses.
"""

from __future__ import annotations

from typing import Any

#: Kept by every version that Hawser runs on.
_SETTINGS = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "lock_timeout": "0",
    "array_nulls": "on",
    "exit_on_error": "off",
    # To compile a plan takes longer than any statement of ours.
    "jit": "off",
}
#: Setting -> the first version that knows it; each could end what is under way or idle.
_NEWER_TIMEOUTS = {"idle_session_timeout": 140_000, "transaction_timeout": 170_000}
#: How often a session whose role has a statement timeout of a moment tries to lift that.
_TRIES = 10
#: What was committed is kept; a stricter choice than `on` is left alone.
_DURABLE = (
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
)


def apply(connection: Any, statement_timeout_s: float) -> None:
    """Set up a new psycopg connection. Raises psycopg.Error, and closes it then.

    A transaction that does nothing ends after the statement timeout too: a process that is
    frozen in one, on a machine that is paused, would keep its locks for ever, and no other
    worker could take the lease.
    """
    settings = _settings(connection.info.server_version, round(statement_timeout_s * 1000))
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    values = [text for item in settings.items() for text in item]
    try:
        connection.autocommit = True
        _lift_timeout(connection)
        connection.execute(f"SELECT {calls}, {_DURABLE}", values, prepare=False)
        connection.autocommit = False
    except Exception:
        connection.close()
        raise


def _lift_timeout(connection: Any) -> None:
    from psycopg.errors import QueryCanceled

    for left in reversed(range(_TRIES)):
        try:
            connection.execute("SET statement_timeout = 0", prepare=False)
        except QueryCanceled:
            if not left:
                raise
        else:
            return


def _settings(server_version: int, timeout_ms: int) -> dict[str, str]:
    timeouts = ("statement_timeout", "idle_in_transaction_session_timeout")
    newer = [name for name, since in _NEWER_TIMEOUTS.items() if server_version >= since]
    return _SETTINGS | dict.fromkeys(timeouts, str(timeout_ms)) | dict.fromkeys(newer, "0")
