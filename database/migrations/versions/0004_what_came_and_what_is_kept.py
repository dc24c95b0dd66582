"""what came, what could not be stored, and what is kept

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_TABLES = (
    "dead_letter",
    "subscription_status",
    "connection_traffic",
    "message_totals",
    "intake_mark",
)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, ROW_ID, server_default="0", nullable=False)


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    """Return the new columns by table."""
    return {
        "connection": (
            sa.Column("keep_messages_days", sa.Integer(), server_default="0", nullable=False),
            sa.Column("keep_messages_mb", sa.Integer(), server_default="0", nullable=False),
        ),
        "subscription": (
            sa.Column("expected_every_s", sa.Integer(), server_default="0", nullable=False),
        ),
        "connection_status": (
            sa.Column("session_present", sa.Boolean(), nullable=True),
            _count("messages_dropped"),
            _count("bytes_dropped"),
            _count("messages_set_aside"),
        ),
        "worker_heartbeat": (
            _count("messages_waiting"),
            _count("bytes_waiting"),
            sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
            sa.Column("intake_problem", sa.Text(), nullable=True),
        ),
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ix_message_topic_id", "message", ["topic", "id"])
    else:
        # No page of an index holds a topic of 65,535 bytes.
        head = sa.text("substr(topic, 1, 200)")
        op.create_index("ix_message_topic_head_id", "message", [head, "id"])
    _create_dead_letter()
    _create_subscription_status()
    _create_connection_traffic()
    _create_message_totals()
    _create_intake_mark()


def _create_dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("connection_id", ROW_ID, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("qos", sa.Integer(), nullable=False),
        sa.Column("retain", sa.Boolean(), nullable=False),
        sa.Column("dup", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dead_letter_connection_id_id", "dead_letter", ["connection_id", "id"])


def _create_subscription_status() -> None:
    op.create_table(
        "subscription_status",
        sa.Column("subscription_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("connection_id", ROW_ID, nullable=False),
        _count("messages_in"),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quiet_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_status")),
    )
    op.create_index(
        "ix_subscription_status_connection_id", "subscription_status", ["connection_id"]
    )


def _create_connection_traffic() -> None:
    names = ("messages_in", "bytes_in", "messages_out", "bytes_out")
    op.create_table(
        "connection_traffic",
        sa.Column("connection_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, ROW_ID, nullable=False) for name in names),
        sa.Column("messages_dropped", ROW_ID, nullable=False),
        sa.Column("bytes_dropped", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint(
            "connection_id", "seconds", "starts_at", name=op.f("pk_connection_traffic")
        ),
    )
    op.create_index(
        "ix_connection_traffic_seconds_starts_at", "connection_traffic", ["seconds", "starts_at"]
    )


def _create_message_totals() -> None:
    op.create_table(
        "message_totals",
        sa.Column("connection_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("messages", ROW_ID, nullable=False),
        sa.Column("bytes", ROW_ID, nullable=False),
        sa.Column("oldest_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_message_totals")),
    )


def _create_intake_mark() -> None:
    op.create_table(
        "intake_mark",
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("batch", ROW_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", name=op.f("pk_intake_mark")),
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_index("ix_message_topic_id" if is_sqlite else "ix_message_topic_head_id", "message")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
