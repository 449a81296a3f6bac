"""Whom a waker could not wake at once."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_23_late_wakes"
down_revision = "2026_11_22_managed_fields"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "late_wakes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_late_wakes"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("late_wakes")
