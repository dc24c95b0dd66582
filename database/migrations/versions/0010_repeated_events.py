"""which events only repeat the one before

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_event", sa.Column("is_repetition", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection_event", "is_repetition")
