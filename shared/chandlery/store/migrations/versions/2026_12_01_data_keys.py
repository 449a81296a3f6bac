"""Data keys, wrapped with key-encryption keys that stay elsewhere. Empty until somebody makes one: see `data_keys`."""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_data_keys"
down_revision = "2026_11_30_roles"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "data_keys",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("kek", sa.Text, nullable=False),
        sa.Column("wrapped", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("writes", _BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_data_keys"),
    )


def downgrade() -> None:
    """Take back. What is sealed with data keys cannot be read any more."""
    op.drop_table("data_keys")
