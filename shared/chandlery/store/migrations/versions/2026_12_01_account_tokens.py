"""Tokens of service accounts, as digests."""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_account_tokens"
down_revision = "2026_12_01_audit"
branch_labels = None
depends_on = None

_TABLE = "account_tokens"
_MOMENT = sa.DateTime(timezone=True)
_NAME = sa.String(collation="C").with_variant(sa.String(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account_uid", sa.String(36), nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=f"pk_{_TABLE}"),
    )
    op.create_index(f"ix_{_TABLE}_account_uid", _TABLE, ["account_uid"])
    op.create_index(f"ix_{_TABLE}_expires_at", _TABLE, ["expires_at"])


def downgrade() -> None:
    """Take back. Tokens of service accounts are valid no more."""
    op.drop_table(_TABLE)
