"""a row of its own for each start of a worker

Two containers may have the same host name and process id, so `worker_id` tells nobody apart.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME = "pk_worker_heartbeat"


def upgrade() -> None:
    _make_key("boot_id")


def downgrade() -> None:
    _make_key("worker_id")


def _make_key(column: str) -> None:
    """Let `column` be the key; of rows that have it in common the last that was written stays."""
    op.execute(
        f"DELETE FROM worker_heartbeat WHERE EXISTS (SELECT 1 FROM worker_heartbeat AS later "  # noqa: S608
        f"WHERE later.{column} = worker_heartbeat.{column} "
        f"AND (later.beat_at > worker_heartbeat.beat_at OR (later.beat_at = "
        f"worker_heartbeat.beat_at AND later.started_at > worker_heartbeat.started_at)))"
    )
    with op.batch_alter_table("worker_heartbeat") as batch:
        batch.drop_constraint(_NAME, type_="primary")
        batch.create_primary_key(_NAME, [column])
