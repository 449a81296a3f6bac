"""Each change knows the one before it of the same object; names are in the order of their bytes, as in Kubernetes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_23_previous"
down_revision = "2026_11_23_late_wakes"
branch_labels = None
depends_on = None

TABLES = (
    "clusterservicebrokers",
    "servicebrokers",
    "clusterserviceclasses",
    "serviceclasses",
    "clusterserviceplans",
    "serviceplans",
    "serviceinstances",
    "servicebindings",
    "namespaces",
    "secrets",
    "events",
    "changes",
)


def upgrade() -> None:
    """Apply. No table is rewritten, only the indexes on the names are."""
    op.add_column("changes", sa.Column("previous", sa.BigInteger().with_variant(sa.Integer, "sqlite")))
    _collate('"C"')


def downgrade() -> None:
    """Take back."""
    _collate('"default"')
    op.drop_column("changes", "previous")


def _collate(collation: str) -> None:
    # SQLite compares bytes anyway.
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        columns = (f"ALTER COLUMN {name} TYPE varchar COLLATE {collation}" for name in ("namespace", "name"))
        op.execute(f"ALTER TABLE {table} {', '.join(columns)}")
