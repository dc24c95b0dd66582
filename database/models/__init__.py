"""All tables in one place, so that `Base.metadata` is complete once this is imported.

Wishes are written by the web only, facts by the worker only; each may read all.
"""

from database.base import Base
from database.models.facts import (
    CommandResult,
    ConnectionEvent,
    ConnectionStatus,
    WorkerHeartbeat,
    WorkerLease,
    WriteMark,
)
from database.models.messages import (
    ConnectionTraffic,
    DeadLetter,
    IntakeMark,
    Message,
    MessageTotals,
    SubscriptionStatus,
    UnreleasedMessage,
)
from database.models.people import (
    audit_entry,
    legacy_password_key,
    role,
    role_user,
    user,
    user_session,
)
from database.models.wishes import Command, ConfigVersion, Connection, Subscription

__all__ = [
    "Base",
    "Command",
    "CommandResult",
    "ConfigVersion",
    "Connection",
    "ConnectionEvent",
    "ConnectionStatus",
    "ConnectionTraffic",
    "DeadLetter",
    "IntakeMark",
    "Message",
    "MessageTotals",
    "Subscription",
    "SubscriptionStatus",
    "UnreleasedMessage",
    "WorkerHeartbeat",
    "WorkerLease",
    "WriteMark",
    "audit_entry",
    "legacy_password_key",
    "role",
    "role_user",
    "user",
    "user_session",
]
