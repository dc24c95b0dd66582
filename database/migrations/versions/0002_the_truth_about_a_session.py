"""what is known about a session beyond its state, and what it says of itself

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One statement a column: a table that SQLite makes anew would forget AUTOINCREMENT.
    op.add_column(
        "connection",
        sa.Column("announce_who", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.add_column(
        "connection", sa.Column("self_ping_s", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("connection_status", sa.Column("keepalive_s", sa.Integer(), nullable=True))
    op.add_column("connection_status", sa.Column("down_since", sa.DateTime(timezone=True)))
    op.add_column("connection_status", sa.Column("round_trip_ms", sa.Float(), nullable=True))
    op.add_column("connection_status", sa.Column("broker_cert_subject", sa.Text(), nullable=True))
    op.add_column(
        "connection_status", sa.Column("broker_cert_expires_at", sa.DateTime(timezone=True))
    )


def downgrade() -> None:
    op.drop_column("connection_status", "broker_cert_expires_at")
    op.drop_column("connection_status", "broker_cert_subject")
    op.drop_column("connection_status", "round_trip_ms")
    op.drop_column("connection_status", "down_since")
    op.drop_column("connection_status", "keepalive_s")
    op.drop_column("connection", "self_ping_s")
    op.drop_column("connection", "announce_who")
