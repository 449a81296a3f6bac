"""The operation history that workers write: what, why, how often, what the service broker said. On both backends."""

from datetime import timedelta
from typing import Any

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, instance

NO_ROOM = {"description": "no room at the inn"}


async def told(fleet: Fleet) -> list[dict[str, Any]]:
    """All operations, the oldest first."""
    return sorted(await fleet.rows("operations"), key=lambda row: str(row["name"]))


def shown(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


async def test_a_provision_whose_first_try_fails_is_one_operation_beside_its_mitigation(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(503, NO_ROOM))
        await fleet.offer("db", broker.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await fleet.ready_in_time(INSTANCE, "one", worker.sweep(), seconds=5)
        uid = (await fleet.find(INSTANCE, "one")).metadata.uid
        await fleet.delete(await fleet.find(INSTANCE, "one"))
        await fleet.until_gone(INSTANCE, "one")
    rows = await told(fleet)
    assert shown(rows, "operation", "reason", "attempts", "outcome", "broker_status") == [
        ("Provision", "Created", 2, "Succeeded", 201),
        ("OrphanMitigation", "CreationFailed", 1, "Succeeded", 200),
        ("Deprovision", "Deleted", 1, "Succeeded", 200),
    ]
    provision, mitigation, _ = rows
    assert (provision["failure_status"], provision["failure"]) == (503, "no room at the inn")
    assert provision["message"] == ""
    assert provision["ended_at"] - provision["started_at"] >= timedelta(seconds=1)
    assert provision["started_at"] < mitigation["started_at"] < provision["ended_at"]
    assert {row["object_uid"] for row in rows} == {uid}
    assert shown(rows, "object_name", "instance_name", "broker") == [("one", "one", "db")] * 3
    assert len({row["external_id"] for row in rows}) == 1
