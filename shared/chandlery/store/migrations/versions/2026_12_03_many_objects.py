"""What a million objects need: labels, and the events of one object, are found by an index.

Whoever has many objects makes the indexes before, without holding up writes; see docs/operations.md.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_03_many_objects"
down_revision = "2026_12_02_traces"
branch_labels = None
depends_on = None

_LABELLED = ("serviceinstances", "servicebindings", "secrets")
_BY_NAME, _OF_ONE = "ix_events_involved_name", "ix_events_involved_name_namespace_involved_uid"


def upgrade() -> None:
    """Apply."""
    op.create_index(_OF_ONE, "events", ["involved_name", "namespace", "involved_uid"], if_not_exists=True)
    op.drop_index(_BY_NAME, "events")
    if op.get_context().dialect.name == "postgresql":
        for table in _LABELLED:
            op.create_index(
                f"ix_{table}_labels",
                table,
                [sa.text("labels jsonb_path_ops")],
                postgresql_using="gin",
                postgresql_with={"fastupdate": "off"},
                if_not_exists=True,
            )


def downgrade() -> None:
    """Take back."""
    if op.get_context().dialect.name == "postgresql":
        for table in _LABELLED:
            op.drop_index(f"ix_{table}_labels", table)
    op.create_index(_BY_NAME, "events", ["involved_name"])
    op.drop_index(_OF_ONE, "events")
