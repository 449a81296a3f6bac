"""Tables and columns are called what they are: the work queue, its revision, what it has sealed; rate limits.

Rules: the previous release has to run on this schema. On PostgreSQL its names stay as views, which it reads and writes
as it did the tables; a later migration takes them away. On SQLite one process is alone with its file, so there are
none: going back to the release before means restoring the backup that was made before the upgrade.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_work_queue"
down_revision = "2026_11_30_owner_links"
branch_labels = None
depends_on = None

_COLUMNS = {"wishes": "revision", "in_flight": "sealed", "admitted_at": "turn_at"}
_INDEXES = {"enqueue_after": ["enqueue_after"], "waiting_for": ["waiting_for"], "lane": ["kind", "lane"]}
_VIEWS = {
    "reconciliations": (
        "SELECT uid, kind, lane, due_at, enqueue_after, attempt, revision AS wishes, waiting_for, lease_owner,"
        " lease_until, fence, sealed AS in_flight, memory, turn_at AS admitted_at FROM work_queue"
    ),
    "paces": "SELECT lane, full_at FROM rate_limits",
}
"""The names of the previous release. Views as simple as these can be written through, and rows locked."""


def upgrade() -> None:
    """Apply. No table is rewritten."""
    _rename("reconciliations", "work_queue", _COLUMNS)
    _rename("paces", "rate_limits", {})
    if _is_postgresql():
        for name, query in _VIEWS.items():
            op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    """Take back."""
    if _is_postgresql():
        for name in _VIEWS:
            op.execute(f"DROP VIEW {name}")
    _rename("rate_limits", "paces", {})
    _rename("work_queue", "reconciliations", {new: old for old, new in _COLUMNS.items()})


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _rename(old: str, new: str, columns: dict[str, str]) -> None:
    op.rename_table(old, new)
    for before, after in columns.items():
        # The same text for both; Alembic would copy the table on SQLite.
        op.execute(f"ALTER TABLE {new} RENAME COLUMN {before} TO {after}")
    indexes = _INDEXES if columns else {}
    if _is_postgresql():
        for name in ("pk_{}", *(f"ix_{{}}_{suffix}" for suffix in indexes)):
            op.execute(f"ALTER INDEX {name.format(old)} RENAME TO {name.format(new)}")
        return
    for suffix, indexed in indexes.items():
        op.drop_index(f"ix_{old}_{suffix}", new)
        where = sa.text("waiting_for IS NOT NULL") if suffix == "waiting_for" else None
        op.create_index(f"ix_{new}_{suffix}", new, indexed, sqlite_where=where)
