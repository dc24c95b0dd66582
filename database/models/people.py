"""Accounts and roles. Plain tables here; the web maps its own classes onto them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table, Text, func, text

from database.base import Base
from database.types import RowId, UTCDateTime

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
)
