"""What objects at rest want to be woken by."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_interests"
down_revision = "2026_11_22"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "interests",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("key", "uid", name="pk_interests"),
    )
    op.create_index("ix_interests_uid", "interests", ["uid"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("interests")
