"""no private key in certificate columns, nor in what the audit log tells of them

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

from database import certificate_cleanup

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        # What is overwritten must not stay readable in the file.
        op.execute("PRAGMA secure_delete = ON")
    certificate_cleanup.clean_connections(connection)
    certificate_cleanup.clean_audit_log(connection)


def downgrade() -> None:
    """Change nothing: a key that is gone stays gone."""
