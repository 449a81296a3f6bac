"""The operation history, which operations are open, and an index by which old events are found."""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_02_operations"
down_revision = "2026_12_02_counted_work"
branch_labels = None
depends_on = None

_TABLE = "operations"
_MOMENT = sa.DateTime(timezone=True)
_NAME = sa.String(collation="C").with_variant(sa.String(), "sqlite")
_INDEXED = (("namespace", "name"), ("namespace", "object_name", "name"), ("object_uid", "name"))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        _TABLE,
        sa.Column("name", _NAME, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("object_name", _NAME, nullable=False),
        sa.Column("object_uid", sa.String(36), nullable=False),
        sa.Column("instance_name", _NAME, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("operation", "reason", "requested_by", "broker")),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("broker_status", sa.Integer),
        sa.Column("message", sa.Text),
        sa.Column("failure_status", sa.Integer),
        sa.Column("failure", sa.Text),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("name", name=f"pk_{_TABLE}"),
    )
    for columns in _INDEXED:
        op.create_index(f"ix_{_TABLE}_{'_'.join(columns)}", _TABLE, columns)
    op.add_column("work_queue", sa.Column("open_operations", sa.JSON))
    op.create_index("ix_events_created_at", "events", ["created_at"])


def downgrade() -> None:
    """Take back. The history is lost."""
    op.drop_index("ix_events_created_at", "events")
    op.drop_column("work_queue", "open_operations")
    op.drop_table(_TABLE)
