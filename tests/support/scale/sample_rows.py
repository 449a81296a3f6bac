"""One of each thing that a database holds many of, written by the store itself, with marks where copies differ.

A mark is a word like `@uid@`. `filling.py` copies the rows that this leaves in the tables.
"""

from datetime import timedelta
from typing import Any, Final, cast

from sqlalchemy import insert

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Event
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.external_ids import ExternalId
from chandlery.store.schema import INTERESTS, OPERATIONS
from chandlery.store.work.work_claims import Release

UID, NAME, SPACE, BROKER, EXTERNAL, APP, TIER, EVENT = (
    f"@{word}@" for word in ("uid", "name", "space", "broker", "external", "app", "tier", "event")
)
LANE: Final = f"broker:/{BROKER}"
_USER: Final = {"username": "admin", "uid": "admin", "groups": ["system:masters", "system:authenticated"]}
_STATUS: Final = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": "2026-03-14T12:00:00Z",
            "reason": "ProvisionedSuccessfully",
            "message": "The instance was provisioned successfully",
            "observedGeneration": 1,
        }
    ],
    "reconciledGeneration": 1,
    "observedGeneration": 1,
    "externalProperties": {
        "clusterServicePlanExternalName": "default",
        "clusterServicePlanExternalID": EXTERNAL,
        "userInfo": _USER,
    },
    "provisionStatus": "Provisioned",
    "deprovisionStatus": "Required",
    "lastConditionState": "Ready",
    "userSpecifiedPlanName": "default",
    "userSpecifiedClassName": f"ClusterServiceClass/{BROKER}",
}
_MEMORY: Final = {
    "polls": 0,
    "lane": LANE,
    "idLane": LANE,
    "serviceID": EXTERNAL,
    "planID": EXTERNAL,
    "asked": {"updateRequests": 0, "checksum": "", "context": EXTERNAL},
    "told": {"updateRequests": 0, "checksum": "", "context": EXTERNAL},
    "interests": [],
}


async def write_samples(database: Database) -> None:
    """A service broker with a class and a plan, and an instance of that, at rest."""
    await database.run(_offer)
    await database.run(_begin)
    await database.run(_settle)


async def _offer(unit: UnitOfWork) -> None:
    broker = _object(kinds.CLUSTER_SERVICE_BROKER, f"{BROKER}-broker", name=BROKER, spec={"url": "http://127.0.0.1"})
    offering = {"clusterServiceBrokerName": BROKER, "externalID": EXTERNAL, "externalName": BROKER, "bindable": True}
    owner = {"apiVersion": broker.api_version, "kind": broker.kind, "name": BROKER, "uid": f"{BROKER}-broker"}
    owned = {"ownerReferences": [owner]}
    described = {
        **offering,
        "description": "a plan",
        "free": True,
        "clusterServiceClassRef": {"name": f"class-{BROKER}"},
    }
    for document in (
        broker,
        _object(kinds.CLUSTER_SERVICE_CLASS, f"{BROKER}-class", owned, name=f"class-{BROKER}", spec=offering),
        _object(kinds.CLUSTER_SERVICE_PLAN, f"{BROKER}-plan", owned, name=f"plan-{BROKER}", spec=described),
    ):
        await unit.objects.insert(document)


async def _begin(unit: UnitOfWork) -> None:
    await unit.objects.insert(_instance({}))
    unit.external_ids.claim_later(ExternalId(LANE, kinds.SERVICE_INSTANCE.kind, EXTERNAL), UID)
    await unit.work_queue.add(kinds.SERVICE_INSTANCE.kind, UID, lane=LANE)


async def _settle(unit: UnitOfWork) -> None:
    old = await unit.objects.get(kinds.SERVICE_INSTANCE, SPACE, NAME)
    claim = await unit.work_queue.claim(UID, owner="sample", lease=timedelta(seconds=10))
    if old is None or claim is None:
        raise LookupError("the sample is there already")
    new = _instance(_STATUS).model_copy(update={"metadata": old.metadata})
    await unit.objects.update(old, new)
    rest = Release(due_at=None, lane=LANE, memory=_MEMORY, ready="True", is_reached=True)
    await unit.work_queue.release(claim, rest)
    about = {"kind": "ServiceInstance", "namespace": SPACE, "name": NAME, "uid": UID}
    said: dict[str, Any] = {
        "reason": "ProvisionedSuccessfully",
        "message": "The instance was provisioned successfully",
        "count": 1,
    }
    event = _object(kinds.EVENT, EVENT, name=f"{NAME}.{EVENT}", involvedObject=about, type="Normal", **said)
    unit.events.record(cast("Event", event))
    # What follows has no writer in the store that takes marks.
    await unit._connection.execute(insert(OPERATIONS).values(_operation(unit)))
    await unit._connection.execute(insert(INTERESTS).values(key=f"secret:/{SPACE}/{NAME}", uid=UID))
    await unit.audit.write([_audited()])


def _instance(status: dict[str, Any]) -> AnyObject:
    labels = {"app": APP, "tier": TIER, "servicecatalog.k8s.io/spec.clusterServicePlanRef.name": EXTERNAL}
    spec = {
        "clusterServiceClassExternalName": BROKER,
        "clusterServicePlanExternalName": "default",
        "clusterServiceClassRef": {"name": f"class-{BROKER}"},
        "clusterServicePlanRef": {"name": f"plan-{BROKER}"},
        "externalID": EXTERNAL,
        "userInfo": _USER,
    }
    return _object(kinds.SERVICE_INSTANCE, UID, {"labels": labels}, name=NAME, spec=spec, status=status)


def _object(kind: Kind, uid: str, further: dict[str, Any] | None = None, *, name: str, **body: Any) -> AnyObject:
    metadata = {"name": name, "uid": uid, "generation": 1, "creationTimestamp": "2026-03-14T12:00:00Z"}
    place = {"namespace": SPACE} if kind.namespaced else {}
    document: AnyObject = kind.model.model_validate({"metadata": {**metadata, **place, **(further or {})}, **body})
    return document


def _operation(unit: UnitOfWork) -> dict[str, Any]:
    texts = {"kind": "ServiceInstance", "namespace": SPACE, "object_name": NAME, "object_uid": UID}
    texts |= {"instance_name": NAME, "operation": "Provision", "reason": "Created", "requested_by": "admin"}
    texts |= {"broker": BROKER, "external_id": EXTERNAL, "outcome": "Succeeded", "message": "", "trace_id": "f" * 32}
    return {"name": EVENT, **texts, "attempts": 1, "broker_status": 201, "started_at": unit.now, "ended_at": unit.now}


def _audited() -> AuditEntry:
    text = '{"kind":"Event","auditID":"@event@","objectRef":{"name":"@name@","uid":"@uid@"},"padding":"' + "." * 900
    return AuditEntry(
        name=EVENT, event=f'{text}"}}', username="admin", verb="create", resource="serviceinstances",
        namespace=SPACE, object_name=NAME, object_uid=UID, code=201,
    )  # fmt: skip
