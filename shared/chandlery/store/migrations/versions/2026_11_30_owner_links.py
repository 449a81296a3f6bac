"""Who owns what, to be found from either end, and what the garbage collector is to look at."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_owner_links"
down_revision = "2026_11_30_external_ids"
branch_labels = None
depends_on = None

_DEPENDENTS = {
    "ClusterServiceBroker": "clusterservicebrokers",
    "ServiceBroker": "servicebrokers",
    "ClusterServiceClass": "clusterserviceclasses",
    "ServiceClass": "serviceclasses",
    "ClusterServicePlan": "clusterserviceplans",
    "ServicePlan": "serviceplans",
    "ServiceInstance": "serviceinstances",
    "ServiceBinding": "servicebindings",
    "Namespace": "namespaces",
    "Secret": "secrets",
}
_LINKS = {
    "postgresql": (
        "SELECT o->>'uid' AS owner_uid, t.uid AS uid, o->>'kind' AS owner_kind, o->>'apiVersion' AS api_version,"
        " coalesce(CAST(o->>'blockOwnerDeletion' AS boolean), false) AS is_blocking"
        " FROM {table} AS t, json_array_elements(CASE WHEN json_typeof(t.owner_references) = 'array'"
        " THEN t.owner_references ELSE CAST('[]' AS json) END) AS o"
    ),
    "sqlite": (
        "SELECT json_extract(o.value, '$.uid') AS owner_uid, t.uid AS uid,"
        " json_extract(o.value, '$.kind') AS owner_kind, json_extract(o.value, '$.apiVersion') AS api_version,"
        " coalesce(json_extract(o.value, '$.blockOwnerDeletion'), 0) AS is_blocking"
        " FROM {table} AS t, json_each(CASE WHEN json_type(t.owner_references) = 'array'"
        " THEN t.owner_references ELSE '[]' END) AS o"
    ),
}
_SERVED = "CASE WHEN owner_kind IN ('Namespace', 'Secret') THEN 'v1' ELSE 'servicecatalog.k8s.io/v1beta1' END"
"""Owners of kinds that others serve are nobody's to look for."""


def upgrade() -> None:
    """Apply. What is owned by nobody any more is found by the collector itself."""
    op.create_table(
        "owner_links",
        sa.Column("owner_uid", sa.String, nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("owner_kind", sa.String, nullable=False),
        sa.Column("is_blocking", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("owner_uid", "uid", name="pk_owner_links"),
    )
    op.create_index("ix_owner_links_uid", "owner_links", ["uid"])
    op.create_table(
        "garbage",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("marks", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("uid", name="pk_garbage"),
    )
    op.create_index("ix_garbage_due_at", "garbage", ["due_at"])
    # A broker that was deleted by force has left these on purpose.
    for table in ("clusterserviceclasses", "clusterserviceplans"):
        op.execute(
            f"UPDATE {table} SET owner_references = NULL "  # noqa: S608 - names of our own schema
            f"WHERE broker_name NOT IN (SELECT name FROM clusterservicebrokers)"
        )
    links = _LINKS[op.get_bind().dialect.name]
    for kind, table in _DEPENDENTS.items():
        op.execute(
            f"INSERT INTO owner_links (owner_uid, uid, kind, owner_kind, is_blocking) "  # noqa: S608
            f"SELECT owner_uid, uid, '{kind}', owner_kind, is_blocking FROM ({links.format(table=table)}) AS found "
            f"WHERE owner_uid <> '' AND api_version = {_SERVED} ON CONFLICT DO NOTHING"
        )


def downgrade() -> None:
    """Take back."""
    op.drop_table("garbage")
    op.drop_table("owner_links")
