"""Every write of a worker is one of the lease's holder."""

from __future__ import annotations

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection as Transaction

from database.models import WorkerLease

#: One worker runs all connections; several would each hold a slot.
SLOT = 0

_lease: Table = WorkerLease.__table__  # type: ignore[assignment]


class LeaseLostError(Exception):
    """Another worker holds the lease; nothing was written."""


def check_lease(transaction: Transaction, boot_id: str) -> None:
    """Keep a worker that was frozen or cut off from writing over its successor.

    To be called last in a transaction: until its end the lease cannot be renewed, and
    whoever waits for a slow table must not hold that up.
    """
    holder = transaction.execute(
        select(_lease.c.boot_id).where(_lease.c.slot == SLOT).with_for_update(read=True)
    ).scalar_one_or_none()
    if holder != boot_id:
        raise LeaseLostError
