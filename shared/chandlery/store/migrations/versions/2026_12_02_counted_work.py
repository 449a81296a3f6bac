"""What is counted of the objects that workers look after stands in their rows of work.

`desired_at` is the moment of the write whose desired state is not reached yet, `ready` the status of the condition
Ready, `expires_at` the end of a binding's credentials. The object has the last two in its status, which is text that
would have to be read for each of a million; the first is nowhere else: a creation timestamp is that of the first
specification alone, and managed fields tell of labels, too.

The release before neither reads nor writes these, so what it writes is counted as it was before until its next round.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_02_counted_work"
down_revision = "2026_12_01_account_tokens"
branch_labels = None
depends_on = None

_TABLE, _LANE, _EXPIRES = "work_queue", "ix_work_queue_lane", "ix_work_queue_expires_at"
_MOMENT = sa.DateTime(timezone=True)
_EXPIRE = sa.text("expires_at IS NOT NULL")
_HAVE_READY = ("serviceinstances", "servicebindings", "clusterservicebrokers", "servicebrokers")
_READY = {
    "postgresql": "jsonb_path_query_first(o.status::jsonb,"
    """ '$.conditions[*] ? (@.type == "Ready").status') #>> '{}'""",
    "sqlite": "(SELECT json_extract(c.value, '$.status') FROM json_each(o.status, '$.conditions') AS c"
    " WHERE json_extract(c.value, '$.type') = 'Ready')",
}
_END = {
    "postgresql": "(o.status->>'expiresAt')::timestamptz",
    # As the driver writes moments.
    "sqlite": "replace(replace(json_extract(o.status, '$.expiresAt'), 'T', ' '), 'Z', '.000000')",
}


def upgrade() -> None:
    """Apply. Columns that may be null rewrite no table; what they say is read once from all statuses."""
    op.add_column(_TABLE, sa.Column("desired_at", _MOMENT))
    op.add_column(_TABLE, sa.Column("ready", sa.String))
    op.add_column(_TABLE, sa.Column("expires_at", _MOMENT))
    dialect = op.get_context().dialect.name
    for table in _HAVE_READY:
        _fill("ready", _READY[dialect], table)
    _fill("expires_at", _END[dialect], "servicebindings")
    op.drop_index(_LANE, _TABLE)
    op.create_index(_LANE, _TABLE, ["kind", "lane", "ready"])
    op.create_index(_EXPIRES, _TABLE, ["expires_at"], postgresql_where=_EXPIRE, sqlite_where=_EXPIRE)


def downgrade() -> None:
    """Take back."""
    op.drop_index(_EXPIRES, _TABLE)
    op.drop_index(_LANE, _TABLE)
    op.create_index(_LANE, _TABLE, ["kind", "lane"])
    for column in ("expires_at", "ready", "desired_at"):
        op.drop_column(_TABLE, column)


def _fill(column: str, value: str, table: str) -> None:
    # Only names of our own schema stand in this text.
    op.execute(
        f"UPDATE {_TABLE} SET {column} = (SELECT {value} FROM {table} AS o WHERE o.uid = {_TABLE}.uid)"  # noqa: S608
        f" WHERE EXISTS (SELECT 1 FROM {table} AS o WHERE o.uid = {_TABLE}.uid AND {value} IS NOT NULL)"
    )
