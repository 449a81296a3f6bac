"""The first tables: one per kind, the work table, the change log, the outbox, leases and marks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_22"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)
SEARCHABLE_JSON = sa.JSON().with_variant(postgresql.JSONB, "postgresql")

OFFERING = ("external_name", "external_id", "broker_name")
LOOKUPS = {
    "clusterservicebrokers": (),
    "servicebrokers": (),
    "clusterserviceclasses": OFFERING,
    "serviceclasses": OFFERING,
    "clusterserviceplans": (*OFFERING, "class_name"),
    "serviceplans": (*OFFERING, "class_name"),
    "serviceinstances": ("external_id", "class_ref", "plan_ref"),
    "servicebindings": ("external_id", "instance_name"),
    "namespaces": (),
    "secrets": (),
    "events": ("involved_uid", "involved_name"),
}


def upgrade() -> None:
    """Apply."""
    for name, lookups in LOOKUPS.items():
        _create_object_table(name, lookups)
    _create_reconciliations()
    _create_changes_and_outbox()
    op.create_table(
        "leases",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_marks"),
    )


def downgrade() -> None:
    """Take back."""
    for name in ("marks", "leases", "outbox", "changes", "reconciliations", *LOOKUPS):
        op.drop_table(name)


def _create_object_table(name: str, lookups: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("namespace", sa.String, nullable=False, server_default=""),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("resource_version", BIG, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
        sa.Column("labels", SEARCHABLE_JSON),
        sa.Column("annotations", sa.JSON),
        sa.Column("finalizers", sa.JSON),
        sa.Column("owner_references", sa.JSON),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("status", sa.JSON),
        *(sa.Column(lookup, sa.String, nullable=False, server_default="") for lookup in lookups),
        sa.PrimaryKeyConstraint("uid", name=f"pk_{name}"),
        sa.UniqueConstraint("namespace", "name", name=f"uq_{name}_namespace_name"),
    )
    for lookup in lookups:
        op.create_index(f"ix_{name}_{lookup}", name, [lookup])


def _create_reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("enqueue_after", MOMENT),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("wishes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("waiting_for", sa.String),
        sa.Column("lease_owner", sa.String),
        sa.Column("lease_until", MOMENT),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("in_flight", sa.Text),
        sa.Column("memory", sa.JSON, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("uid", name="pk_reconciliations"),
    )
    op.create_index("ix_reconciliations_enqueue_after", "reconciliations", ["enqueue_after"])
    op.create_index(
        "ix_reconciliations_waiting_for",
        "reconciliations",
        ["waiting_for"],
        postgresql_where=sa.text("waiting_for IS NOT NULL"),
        sqlite_where=sa.text("waiting_for IS NOT NULL"),
    )
    op.create_index("ix_reconciliations_lane", "reconciliations", ["kind", "lane"])


def _create_changes_and_outbox() -> None:
    op.create_table(
        "changes",
        sa.Column("position", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("namespace", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("verb", sa.String(8), nullable=False),
        sa.Column("object", sa.JSON, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_changes"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
