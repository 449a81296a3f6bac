"""What service brokers are protected with: circuits that are open, rate limits, places in line."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_23_guards"
down_revision = "2026_11_23_previous"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A column that may be null rewrites no table."""
    op.create_table(
        "circuits",
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("lane", "owner", name="pk_circuits"),
    )
    op.create_table(
        "paces",
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_paces"),
    )
    op.add_column("reconciliations", sa.Column("admitted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Take back."""
    op.drop_column("reconciliations", "admitted_at")
    op.drop_table("paces")
    op.drop_table("circuits")
