"""Write what connections carried: sums, minutes and quarter hours, and each Topic Filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic_ns
from typing import Any

from sqlalchemy import Engine, Table, bindparam, func, update
from sqlalchemy.engine import Connection as Transaction

from database.clock import database_now
from database.models import ConnectionStatus, ConnectionTraffic, SubscriptionStatus, WriteMark
from database.session import immediate
from mqttworker.core.traffic import Counts, Stretch
from mqttworker.ports.accounts import Account, Heard, Page
from mqttworker.ports.store.facts import traffic_columns
from mqttworker.ports.store.lease_check import check_lease
from mqttworker.ports.store.marks import claim
from mqttworker.ports.store.upsert import upsert_statement

_status: Table = ConnectionStatus.__table__  # type: ignore[assignment]
_traffic: Table = ConnectionTraffic.__table__  # type: ignore[assignment]
_heard: Table = SubscriptionStatus.__table__  # type: ignore[assignment]
_mark: Table = WriteMark.__table__  # type: ignore[assignment]

_COUNTS = [column for column in _traffic.c if not column.primary_key]


class TrafficStore:
    """The counters, as the holder of the lease writes them."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._mark_key = {"boot_id": boot_id, "kind": "traffic"}

    def write(self, page: Page) -> None:
        """Add `page` to what is counted, once. Raises LeaseLostError.

        A page whose COMMIT was not answered is to be written again before the next one.
        """
        if page.number is None:
            # Grows from page to page of this process.
            page.number = monotonic_ns()
        with self._writer.begin() as transaction:
            if not claim(transaction, _mark, self._mark_key, page.number):
                return
            _write_sums(transaction, page.accounts)
            _write_stretches(transaction, page.accounts)
            _write_heard(transaction, page.accounts)
            check_lease(transaction, self._boot_id)


def _write_sums(transaction: Transaction, accounts: Sequence[Account]) -> None:
    rows = [{"id_": each.connection_id, **traffic_columns(each.traffic)} for each in accounts]
    names = [name for name in rows[0] if name != "id_"]
    statement = update(_status).where(_status.c.connection_id == bindparam("id_"))
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    # Whoever comes after this worker's death learns from it when it was alive.
    transaction.execute(statement.values({**values, "updated_at": database_now()}), rows)


def _write_stretches(transaction: Transaction, accounts: Iterable[Account]) -> None:
    rows = [
        {**_key(account, stretch), **_plain(counts)}
        for account in accounts
        for stretch, counts in account.counted.items()
    ]
    if not rows:
        return
    statement = upsert_statement(transaction.dialect.name, _traffic)
    more = {column.name: column + statement.excluded[column.name] for column in _COUNTS}
    keys = list(_traffic.primary_key)
    transaction.execute(statement.on_conflict_do_update(index_elements=keys, set_=more), rows)


def _write_heard(transaction: Transaction, accounts: Iterable[Account]) -> None:
    rows = [
        {"connection_id": account.connection_id, **_plain(heard)}
        for account in accounts
        for heard in account.heard.values()
    ]
    if not rows:
        return
    statement = upsert_statement(transaction.dialect.name, _heard)
    new = statement.excluded
    changes = {
        "connection_id": new.connection_id,
        "messages_in": _heard.c.messages_in + new.messages_in,
        "last_message_at": func.coalesce(new.last_message_at, _heard.c.last_message_at),
        "quiet_since": new.quiet_since,
    }
    keys = list(_heard.primary_key)
    transaction.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def _key(account: Account, stretch: Stretch) -> dict[str, Any]:
    return {
        "connection_id": account.connection_id,
        "seconds": stretch.seconds,
        "starts_at": stretch.starts_at,
    }


def _plain(item: Counts | Heard) -> dict[str, Any]:
    # dataclasses.asdict copies deeply, and there are thousands.
    return {name: getattr(item, name) for name in item.__slots__}
