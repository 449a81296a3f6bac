"""Who owns which fields of an object, as one JSON text; Secrets keep theirs with what is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_managed_fields"
down_revision = "2026_11_22_interests"
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
)


def upgrade() -> None:
    """Apply. A column that may be null rewrites no table."""
    for table in TABLES:
        op.add_column(table, sa.Column("managed_fields", sa.Text))


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_column(table, "managed_fields")
