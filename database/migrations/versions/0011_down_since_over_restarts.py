"""whether there ever was a session

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_status", sa.Column("was_connected", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection_status", "was_connected")
