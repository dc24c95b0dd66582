"""Accounts, roles, sessions and what people changed. Written by the web only.

Accounts are plain tables: the web maps its own classes onto them.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.ext.mutable import MutableList

from database.base import Base
from database.types import EncryptedText, RowId, UTCDateTime

role_user = Table(
    "role_user",
    Base.metadata,
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)

role = Table(
    "role",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("description", Text),
    Column("permissions", Text),
)

user = Table(
    "user_account",
    Base.metadata,
    Column("id", RowId, primary_key=True),
    Column("email", String(255), nullable=False, unique=True),
    #: An argon2 hash.
    Column("password", Text),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    #: Changes when all sessions of the account must end.
    Column("fs_uniquifier", String(64), nullable=False, unique=True),
    Column("confirmed_at", UTCDateTime),
    Column("created_at", UTCDateTime, nullable=False, server_default=func.now()),
    #: Somebody else knows the password: nothing but changing it is possible until then.
    Column("must_change_password", Boolean, nullable=False, server_default=text("false")),
    Column("password_changed_at", UTCDateTime),
    Column("last_login_at", UTCDateTime),
    #: Second factor, as Flask-Security names it: `authenticator` once it is set up.
    Column("tf_primary_method", String(64)),
    #: Encrypted by Flask-Security.
    Column("tf_totp_secret", Text),
    #: The time step (RFC 6238) of the code that was used last: no code counts twice.
    Column("tf_last_counter", BigInteger),
    #: Encrypted one-time codes for a lost authenticator, a list.
    Column("mf_recovery_codes", MutableList.as_mutable(JSON())),
)

#: One row: the HAWSER_SECRET_KEY that went into the password hashes of older versions. It is
#: there as long as such a hash is.
legacy_password_key = Table(
    "legacy_password_key",
    Base.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key", EncryptedText),
)

#: One browser that is signed in. A session without a row here has ended, whatever its cookie says.
user_session = Table(
    "user_session",
    Base.metadata,
    Column("id", RowId, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    #: SHA-256, hexadecimal, of the identifier in the cookie.
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", UTCDateTime, nullable=False, server_default=func.now()),
    #: Moves now and then while the session is used.
    Column("seen_at", UTCDateTime, nullable=False, server_default=func.now()),
    Column("expires_at", UTCDateTime, nullable=False),
    #: "Stay signed in" was ticked.
    Column("is_remembered", Boolean, nullable=False, server_default=text("false")),
    Column("address", Text),
    Column("user_agent", Text),
    Index("ix_user_session_user_id", "user_id"),
)

#: Who changed what, when, from which value to which. Never updated.
audit_entry = Table(
    "audit_entry",
    Base.metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UTCDateTime, nullable=False, server_default=func.now()),
    #: The address of the account, or how the change came without one.
    Column("actor", Text, nullable=False),
    #: Where the request came from.
    Column("address", Text),
    #: Subject and verb, for example `connection.update`.
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", RowId),
    #: The name that the subject had then.
    Column("subject_name", Text),
    #: `{field: [old, new]}`; of a secret only whether there was one.
    Column("changes", JSON, nullable=False, server_default="{}"),
    Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),
    Index("ix_audit_entry_actor", "actor", "id"),
    Index("ix_audit_entry_at", "at"),
    sqlite_autoincrement=True,
)
