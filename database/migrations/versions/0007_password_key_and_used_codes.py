"""the key of password hashes that older versions made, and the codes that were used

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "legacy_password_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        # The set-up fills it in: a migration does not know HAWSER_SECRET_KEY.
        sa.Column("key", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legacy_password_key")),
    )
    op.execute("INSERT INTO legacy_password_key (id) VALUES (1)")
    op.add_column("user_account", sa.Column("tf_last_counter", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("user_account", "tf_last_counter")
    op.drop_table("legacy_password_key")
