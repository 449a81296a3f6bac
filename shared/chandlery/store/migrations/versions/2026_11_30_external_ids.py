"""Which object has which id at which service broker. Of two that have the same one, the older keeps it."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_external_ids"
down_revision = "2026_11_23_generated_names"
branch_labels = None
depends_on = None

_HAVE_ONE = {"ServiceInstance": "serviceinstances", "ServiceBinding": "servicebindings"}
_NO_BROKER = "unresolved"
_ROTATED = {"postgresql": "o.status->>'externalID'", "sqlite": "json_extract(o.status, '$.externalID')"}


def upgrade() -> None:
    """Apply. Whoever shares its id with an older object is looked at again, so that its conditions say so."""
    op.create_table(
        "external_ids",
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("lane", "kind", "external_id", name="pk_external_ids"),
    )
    op.create_index("ix_external_ids_uid", "external_ids", ["uid"])
    # Credentials that were rotated go by an id that we have made: whoever else names it has read it somewhere.
    _claim("ServiceBinding", "servicebindings", _ROTATED[op.get_bind().dialect.name])
    for kind, table in _HAVE_ONE.items():
        _claim(kind, table, "o.external_id")
    for kind, table in _HAVE_ONE.items():
        _look_again(kind, table)


def downgrade() -> None:
    """Take back."""
    op.drop_table("external_ids")


def _claim(kind: str, table: str, external_id: str) -> None:
    # Only names of our own schema stand in these texts.
    oldest_first = f"PARTITION BY r.lane, {external_id} ORDER BY o.created_at, o.uid"
    op.execute(
        f"INSERT INTO external_ids (lane, kind, external_id, uid) "  # noqa: S608
        f"SELECT lane, '{kind}', external_id, uid FROM ("
        f"SELECT r.lane AS lane, {external_id} AS external_id, o.uid AS uid, "
        f"row_number() OVER ({oldest_first}) AS place "
        f"FROM {table} AS o JOIN reconciliations AS r ON r.uid = o.uid "
        f"WHERE r.lane <> '{_NO_BROKER}' AND {external_id} <> '') AS numbered "
        f"WHERE place = 1 ON CONFLICT DO NOTHING"
    )


def _look_again(kind: str, table: str) -> None:
    now = sa.bindparam("now", datetime.now(UTC), sa.DateTime(timezone=True))
    doubled = (
        f"SELECT o.uid FROM {table} AS o JOIN reconciliations AS r ON r.uid = o.uid "  # noqa: S608
        f"JOIN external_ids AS e ON e.lane = r.lane AND e.kind = '{kind}' AND e.external_id = o.external_id "
        f"WHERE e.uid <> o.uid"
    )
    statement = sa.text(
        f"UPDATE reconciliations SET due_at = :now, enqueue_after = :now, wishes = wishes + 1 WHERE uid IN ({doubled})"  # noqa: S608
    )
    op.execute(statement.bindparams(now))
