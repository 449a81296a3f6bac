"""What a million objects need: labels, and the events of one object, are found by an index.

Whoever has many objects makes the indexes before, without holding up writes; see docs/operations.md.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_03_many_objects"
down_revision = "2026_12_02_traces"
branch_labels = None
depends_on = None

_LABELLED = ("secrets", "servicebindings", "serviceinstances")
_BY_NAME, _OF_ONE = "ix_events_involved_name", "ix_events_involved_name_namespace_involved_uid"
_HOLD = """
    DO $$
    DECLARE
        place text;
        failed regclass;
    BEGIN
        FOREACH place IN ARRAY ARRAY['secrets', 'servicebindings', 'serviceinstances', 'events'] LOOP
            IF EXISTS (SELECT FROM pg_index WHERE indrelid = place::regclass AND NOT indisvalid) THEN
                EXECUTE 'LOCK TABLE ' || place || ' IN ACCESS EXCLUSIVE MODE';
                FOR failed IN SELECT indexrelid FROM pg_index WHERE indrelid = place::regclass AND NOT indisvalid LOOP
                    EXECUTE 'DROP INDEX ' || failed;
                END LOOP;
            ELSE
                EXECUTE 'LOCK TABLE ' || place || ' IN SHARE MODE';
            END IF;
        END LOOP;
    END $$
"""
"""Tables in the order in which transactions write them: whoever held one and wanted one before it would wait for ever.

A CREATE INDEX CONCURRENTLY that has failed leaves an index that nothing finds anything by, and that IF NOT EXISTS would
take. One that is still at work is waited for; it is valid then.
"""


def upgrade() -> None:
    """Apply."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_HOLD)
        for table in _LABELLED:
            op.create_index(
                f"ix_{table}_labels",
                table,
                [sa.text("labels jsonb_path_ops")],
                postgresql_using="gin",
                postgresql_with={"fastupdate": "off"},
                if_not_exists=True,
            )
    op.create_index(_OF_ONE, "events", ["involved_name", "namespace", "involved_uid"], if_not_exists=True)
    # At the end: from here on whoever reads events waits, too.
    op.drop_index(_BY_NAME, "events")


def downgrade() -> None:
    """Take back."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_HOLD)
        for table in _LABELLED:
            op.drop_index(f"ix_{table}_labels", table)
    op.create_index(_BY_NAME, "events", ["involved_name"])
    op.drop_index(_OF_ONE, "events")
