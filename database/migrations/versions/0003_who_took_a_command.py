"""which worker process took a command

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("command_result", sa.Column("boot_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("command_result", "boot_id")
