"""Writes what the tallies of all connections counted, every few seconds.

What the database does not take is held: counted once, whatever happens to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Protocol

from database.words import ALL_CONNECTIONS
from mqttworker.adapters.hub_turn import yield_to_hub
from mqttworker.core.traffic import Counts, Stretch, stretches
from mqttworker.ports.accounts import Account, Page
from mqttworker.ports.store.traffic import TrafficStore
from mqttworker.service.threads import InOrder, in_thread

#: Connections in one transaction: small enough not to hold the database up.
PAGE = 1_000
#: Tallies settled before others have their turn.
TURN = 100


class Counted(Protocol):
    """A tally."""

    connection_id: int

    def settle(self, account: Account, when: Sequence[Stretch]) -> Counts:
        """Put what is new to `account`, and return what was counted."""


class Ledger:
    """Holds what is not written yet of each connection."""

    def __init__(
        self, store: TrafficStore, moved: set[Counted], wall: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._moved = moved
        self._wall = wall
        self._accounts: dict[int, Account] = {}
        #: What is being written. Nothing is added to it: a COMMIT may have taken effect
        #: although its answer was lost.
        self._page: Page | None = None
        self._in_order = InOrder()

    def gather(self) -> None:
        """Take what was counted since the last time, for the present minute."""
        when = stretches(self._wall())
        for number in range(1, len(self._moved) + 1):
            if number % TURN == 0:
                yield_to_hub()
            tally = self._moved.pop()
            counts = tally.settle(self._account(tally.connection_id), when)
            if counts:
                # Once, and not by each page that shows it.
                self._account(ALL_CONNECTIONS).count(when, counts)

    def _account(self, connection_id: int) -> Account:
        account = self._accounts.get(connection_id)
        if account is None:
            account = self._accounts[connection_id] = Account(connection_id)
        return account

    def write(self) -> None:
        """Write all that is held. Raises SQLAlchemyError, LeaseLostError; then it is held on."""
        self._in_order.do(self._write)

    def _write(self) -> None:
        while page := self._page or self._next_page():
            self._page = page
            in_thread(self._store.write, page)
            self._page = None

    def _next_page(self) -> Page | None:
        ids = list(islice(self._accounts, PAGE))
        # In one order, whoever writes: two transactions must not wait for each other.
        return Page([self._accounts.pop(number) for number in sorted(ids)]) if ids else None
