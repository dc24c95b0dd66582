"""which QoS 2 messages are stored and not released by their broker

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "unreleased_message",
        sa.Column("connection_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("packet_identifier", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "packet_identifier"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("unreleased_message")
