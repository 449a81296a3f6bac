"""The prefix from which an object's name was made, which clients see for as long as it is there."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_23_generated_names"
down_revision = "2026_11_23_guards"
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
        op.add_column(table, sa.Column("generate_name", sa.Text))


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_column(table, "generate_name")
