"""second factors, sessions that end, and who changed what

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _time(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _account_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column(
            "must_change_password", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        _time("password_changed_at"),
        _time("last_login_at"),
        sa.Column("tf_primary_method", sa.String(64)),
        sa.Column("tf_totp_secret", sa.Text()),
        sa.Column("mf_recovery_codes", sa.JSON()),
    )


def upgrade() -> None:
    for column in _account_columns():
        op.add_column("user_account", column)
    _sessions()
    _audit()


def _sessions() -> None:
    op.create_table(
        "user_session",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("user_id", ROW_ID, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        _time("created_at", server_default=sa.func.now(), nullable=False),
        _time("seen_at", server_default=sa.func.now(), nullable=False),
        _time("expires_at", nullable=False),
        sa.Column("is_remembered", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_user_session_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_session_token_hash")),
    )
    op.create_index("ix_user_session_user_id", "user_session", ["user_id"])


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", ROW_ID, nullable=False),
        _time("at", server_default=sa.func.now(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", ROW_ID),
        sa.Column("subject_name", sa.Text()),
        sa.Column("changes", sa.JSON(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject_kind", "subject_id", "id"])
    op.create_index("ix_audit_entry_actor", "audit_entry", ["actor", "id"])
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])


def downgrade() -> None:
    op.drop_table("audit_entry")
    op.drop_table("user_session")
    for column in reversed(_account_columns()):
        op.drop_column("user_account", column.name)
