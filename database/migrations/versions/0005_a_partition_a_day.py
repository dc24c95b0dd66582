"""on PostgreSQL messages in a partition a day, so that a day goes without a DELETE

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _take_time()
    _set_aside("message_before")
    # Comparisons by code point, as SQLite does them.
    op.execute('ALTER TABLE message_before ALTER COLUMN topic TYPE text COLLATE "C"')
    op.execute(
        "CREATE TABLE message (LIKE message_before INCLUDING DEFAULTS) "
        "PARTITION BY RANGE (received_at)"
    )
    _complete("id, received_at")
    op.execute("CREATE TABLE message_default PARTITION OF message DEFAULT")
    _carry_over()


def _take_time() -> None:
    # Whoever waits behind this one for the table must not wait for long; what is
    # already stored may be much.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")


def _set_aside(name: str) -> None:
    """Give the table another name and free the names of its indexes."""
    op.execute(f"ALTER TABLE message RENAME TO {name}")
    op.execute(f"ALTER TABLE {name} DROP CONSTRAINT pk_message")
    op.execute("DROP INDEX ix_message_connection_id_id, ix_message_topic_head_id")


def _complete(key: str) -> None:
    """Give the new table its key, its indexes and the numbering of the old one."""
    op.execute(f"ALTER TABLE message ADD CONSTRAINT pk_message PRIMARY KEY ({key})")
    op.execute("ALTER SEQUENCE message_id_seq OWNED BY message.id")
    op.create_index("ix_message_connection_id_id", "message", ["connection_id", "id"])
    head = sa.text("substr(topic, 1, 200)")
    op.create_index("ix_message_topic_head_id", "message", [head, "id"])


def _carry_over() -> None:
    """Keep the old table as the partition of everything before tomorrow; nothing is copied."""
    connection = op.get_bind()
    if not connection.scalar(sa.text("SELECT EXISTS (SELECT FROM message_before)")):
        op.execute("DROP TABLE message_before")
        return
    today: date = connection.scalar(sa.text("SELECT (now() AT TIME ZONE 'UTC')::date"))
    end = today + timedelta(days=1)
    op.execute(
        f"WITH later AS (DELETE FROM message_before WHERE received_at >= '{end} 00:00+00' "  # noqa: S608 - a date
        "RETURNING *) INSERT INTO message_default SELECT * FROM later"
    )
    name = f"message_until_y{end.year:04}m{end.month:02}d{end.day:02}"
    op.execute(f"ALTER TABLE message_before RENAME TO {name}")
    op.execute(
        f"ALTER TABLE message ATTACH PARTITION {name} "
        f"FOR VALUES FROM (MINVALUE) TO ('{end} 00:00+00')"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _take_time()
    _set_aside("message_parts")
    op.execute("CREATE TABLE message (LIKE message_parts INCLUDING DEFAULTS)")
    op.execute('ALTER TABLE message ALTER COLUMN topic TYPE text COLLATE "default"')
    op.execute("INSERT INTO message SELECT * FROM message_parts")
    _complete("id")
    op.execute("DROP TABLE message_parts")
