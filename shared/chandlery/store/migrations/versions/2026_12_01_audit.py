"""The audit log."""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_audit"
down_revision = "2026_12_01_data_keys"
branch_labels = None
depends_on = None

_NAME = sa.String(collation="C").with_variant(sa.String(), "sqlite")
_INDEXED = ("username", "verb", "resource", "namespace", "object_name", "object_uid")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit_events",
        sa.Column("name", _NAME, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in _INDEXED),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_audit_events"),
    )
    for name in (*_INDEXED, "code"):
        op.create_index(f"ix_audit_events_{name}", "audit_events", [name, "name"])
    op.create_table(
        "audit_subjects",
        sa.Column("uid", sa.String, nullable=False),
        sa.Column("event_name", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("uid", "event_name", name="pk_audit_subjects"),
    )
    op.create_index("ix_audit_subjects_event_name", "audit_subjects", ["event_name"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("audit_subjects")
    op.drop_table("audit_events")
