"""In a cluster, what happened in a namespace is forgotten when it is gone, or was another one of its name."""

from datetime import UTC, datetime, timedelta

from chandlery.model.faults import NotFound
from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    OperationWords,
    RecordedOperation,
)
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from chandlery.store.history.stored_operations import OperationFilter
from chandlery_syncer.gone_namespaces import GoneNamespaces
from tests.integration.syncer.conftest import Bench

NOW = datetime.now(UTC)
DAYS = [NOW - timedelta(days=number) for number in range(4)]


class Namespaces:
    """Those of a cluster, by the moment at which each was made."""

    def __init__(self, **made: datetime) -> None:
        self._made = made

    async def check_open(self, name: str) -> None:
        if name not in self._made:
            raise NotFound

    async def run(self) -> None:
        raise AssertionError("nobody follows them here")

    async def begun_at(self, name: str) -> datetime | None:
        return self._made.get(name)


async def test_history_goes_with_its_namespace_and_what_is_older_than_the_namespace_too(bench: Bench) -> None:
    for name in ("gone", "kept", "again"):
        await happened(bench, name)
    await look(bench, Namespaces(kept=DAYS[3] - timedelta(days=1), again=DAYS[2] + timedelta(hours=1)))
    assert {name: await starts(bench, name) for name in ("gone", "kept", "again")} == {
        "gone": [],
        "kept": DAYS,
        "again": DAYS[:2],
    }


async def test_history_of_what_still_has_objects_stays_although_the_cluster_has_no_such_namespace(
    bench: Bench,
) -> None:
    await happened(bench, "lost")
    await bench.create(ServiceInstance(metadata=ObjectMeta(name="db", namespace="lost")))
    await look(bench, Namespaces())
    assert await starts(bench, "lost") == DAYS
    assert await bench.resources.database.run(lambda unit: unit.objects.get(kinds.SERVICE_INSTANCE, "lost", "db"))


async def look(bench: Bench, namespaces: Namespaces) -> None:
    await GoneNamespaces(bench.resources.database, namespaces, owner="syncer/1").look()


async def happened(bench: Bench, namespace: str) -> None:
    about = ServiceInstance(metadata=ObjectMeta(name="old", namespace=namespace, uid=f"uid-in-{namespace}"))

    async def note(unit: UnitOfWork) -> None:
        unit.operations.note(about, [operation(day) for day in DAYS], broker="harbour", trace_id="")

    await bench.resources.database.run(note)


def operation(moment: datetime) -> RecordedOperation:
    return RecordedOperation(
        operation=OperationName.UPDATE,
        started_at=moment,
        external_id="external-1",
        reason=OperationReason.CREATED,
        requested_by="ann",
        instance_name="db",
        attempts=1,
        outcome=OperationOutcome.SUCCEEDED,
        words=OperationWords(broker_status=200),
        ended_at=moment,
    )


async def starts(bench: Bench, namespace: str) -> list[datetime]:
    wanted = OperationFilter(kind=kinds.SERVICE_INSTANCE.kind, namespace=namespace)
    found = await bench.resources.database.run(lambda unit: unit.operations.find(wanted, limit=100))
    return [each.started_at for each in found]
