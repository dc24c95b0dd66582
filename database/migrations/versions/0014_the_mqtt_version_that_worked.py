"""the MQTT version that worked last, over restarts of the worker

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_status", sa.Column("version_fallback", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection_status", "version_fallback")
