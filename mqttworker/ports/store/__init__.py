"""All that the worker asks of the database, and the only worker code with SQL.

Every method is one short transaction, may block, and raises SQLAlchemyError; the
service calls them through the hub's threads.
"""

from __future__ import annotations

from sqlalchemy import Engine

from database import sqlite_guard
from mqttworker.ports.store.commands import Commands, Order
from mqttworker.ports.store.facts import Facts
from mqttworker.ports.store.lease_check import LeaseLostError
from mqttworker.ports.store.messages import Messages
from mqttworker.ports.store.presence import Presence
from mqttworker.ports.store.pruning import Pruning
from mqttworker.ports.store.traffic import TrafficStore
from mqttworker.ports.store.wishes import Wishes

__all__ = [
    "Commands",
    "Facts",
    "LeaseLostError",
    "Messages",
    "Order",
    "Presence",
    "Pruning",
    "Store",
    "TrafficStore",
    "Wishes",
]


class Store:
    """The database as one worker process sees it."""

    def __init__(self, engine: Engine, *, boot_id: str, hostname: str) -> None:
        self._engine = engine
        self.wishes = Wishes(engine, hostname)
        self.facts = Facts(engine, boot_id)
        self.pruning = Pruning(engine, boot_id)
        self.presence = Presence(engine, boot_id)
        self.messages = Messages(engine, boot_id)
        self.commands = Commands(engine, boot_id)
        self.traffic = TrafficStore(engine, boot_id)

    @property
    def generation(self) -> int:
        """How often the SQLite file was replaced by another one."""
        return sqlite_guard.generation(self._engine)
