"""The trace of what an object is due for, and of the last round."""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_02_traces"
down_revision = "2026_12_02_operations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("work_queue", sa.Column("traceparent", sa.String(55)))
    op.add_column("work_queue", sa.Column("last_traceparent", sa.String(55)))


def downgrade() -> None:
    """Take back."""
    op.drop_column("work_queue", "last_traceparent")
    op.drop_column("work_queue", "traceparent")
