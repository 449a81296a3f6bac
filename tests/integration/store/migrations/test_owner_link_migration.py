"""Owners that were there before anybody collected garbage are known after the migration."""

from typing import Any

from alembic import command
from sqlalchemy import Connection, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.schema import OBJECTS, OWNER_LINKS
from tests.integration.store.samples import NOON


def _to(connection: Connection, revision: str) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    (command.upgrade if revision == "head" else command.downgrade)(config, revision)


def _owner(kind: str, uid: str, **more: Any) -> dict[str, Any]:
    version = "v1" if kind == "Secret" else "servicecatalog.k8s.io/v1beta1"
    return {"apiVersion": version, "kind": kind, "name": uid, "uid": uid, **more}


def _fill(connection: Connection) -> None:
    plain = {"resource_version": 1, "created_at": NOON, "spec": {}, "status": None}
    brokers = [{"uid": "broker", "name": "harbour", **plain}]
    owned = [_owner("ServiceBinding", "binding", controller=True, blockOwnerDeletion=True), _owner("Secret", "other")]
    owned += [
        _owner("Secret", "foreign", apiVersion="example.com/v1"),
        _owner("Deployment", "app", apiVersion="apps/v1"),
    ]
    secrets = [
        {"uid": "owned", "namespace": "ns", "name": "owned", "owner_references": owned, **plain},
        {"uid": "free", "namespace": "ns", "name": "free", "owner_references": None, **plain},
    ]
    classes = [
        {"uid": name, "name": name, "broker_name": broker, "owner_references": [_owner("ClusterServiceBroker", uid)]}
        for name, broker, uid in (("kept", "harbour", "broker"), ("left", "gone-by-force", "gone"))
    ]
    connection.execute(insert(OBJECTS["ClusterServiceBroker"]), brokers)
    connection.execute(insert(OBJECTS["Secret"]), secrets)
    connection.execute(insert(OBJECTS["ClusterServiceClass"]), [plain | each for each in classes])


async def test_owners_from_before_are_known_and_what_was_left_by_force_has_none(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_to, "2026_11_30_external_ids")
        await connection.run_sync(_fill)
        await connection.run_sync(_to, "head")
        links = {tuple(row) for row in await connection.execute(select(OWNER_LINKS))}
    assert links == {
        ("binding", "owned", "Secret", "ServiceBinding", True),
        ("other", "owned", "Secret", "Secret", False),
        ("broker", "kept", "ClusterServiceClass", "ClusterServiceBroker", False),
    }
