"""Roles, who has them, and service accounts: a table for each of the five kinds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_30_roles"
down_revision = "2026_11_30_work_queue"
branch_labels = None
depends_on = None

TABLES = ("serviceaccounts", "clusterrolebindings", "clusterroles", "rolebindings", "roles")
_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_NAME = sa.String(collation="C").with_variant(sa.String(), "sqlite")
_SEARCHABLE_JSON = sa.JSON().with_variant(postgresql.JSONB, "postgresql")


def upgrade() -> None:
    """Apply."""
    for table in TABLES:
        op.create_table(
            table,
            sa.Column("uid", sa.String(36), nullable=False),
            sa.Column("namespace", _NAME, nullable=False, server_default=""),
            sa.Column("name", _NAME, nullable=False),
            sa.Column("generate_name", sa.Text),
            sa.Column("resource_version", _BIG, nullable=False),
            sa.Column("generation", sa.Integer, nullable=False, server_default="1"),
            sa.Column("created_at", _MOMENT, nullable=False),
            sa.Column("deleted_at", _MOMENT),
            sa.Column("labels", _SEARCHABLE_JSON),
            sa.Column("annotations", sa.JSON),
            sa.Column("finalizers", sa.JSON),
            sa.Column("owner_references", sa.JSON),
            sa.Column("managed_fields", sa.Text),
            sa.Column("spec", sa.JSON, nullable=False),
            sa.Column("status", sa.JSON),
            sa.PrimaryKeyConstraint("uid", name=f"pk_{table}"),
            sa.UniqueConstraint("namespace", "name", name=f"uq_{table}_namespace_name"),
        )


def downgrade() -> None:
    """Take back. Roles, bindings and service accounts are lost."""
    for table in TABLES:
        op.drop_table(table)
