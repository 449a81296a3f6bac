"""Writes what an import takes over: each object with its work, its id at the broker and an entry of the audit log.

Called by `import_pass.py`, in transactions of a few hundred objects. Past the API on purpose: what the API takes of a
client is what a new object may say, never a status, an id's owner or the notes of a worker (ADR 0059).
"""

from collections.abc import Sequence

from chandlery.contracts.messages import UNRESOLVED_LANE, LaneOpened
from chandlery.contracts.topology import WORK_QUEUES
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.process.commands.command_trail import import_entry
from chandlery.process.commands.imports.import_entries import Prepared
from chandlery.store.audit.credential_trail import DELIVER, secret_entry
from chandlery.store.audit.system_entries import COMMAND
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId
from chandlery.store.work.work_claims import TakenWork


async def write_all(unit: UnitOfWork, taken: Sequence[Prepared]) -> None:
    """Store these. Raises AlreadyExists or ExternalIdTaken at the latest when the transaction ends."""
    for each in taken:
        await _write(unit, each)


async def _write(unit: UnitOfWork, taken: Prepared) -> None:
    document = taken.document
    await unit.objects.insert_later(document)
    external_id = external_id_of(taken)
    if external_id is not None:
        unit.external_ids.claim_later(external_id, taken.uid)
    if document.kind in WORK_QUEUES:
        unit.work_queue.add_taken_later(_work_of(taken))
    if isinstance(document, AnyBroker):
        unit.outbox.add(LaneOpened(lane=taken.lane))
    unit.audit.note(import_entry(document))
    if isinstance(document, Secret) and document.metadata.owner_references:
        unit.audit.note(secret_entry(document, DELIVER, by=COMMAND))


def external_id_of(taken: Prepared) -> ExternalId | None:
    """By what the service broker knows it, if the broker is known."""
    document = taken.document
    if not isinstance(document, ServiceInstance | ServiceBinding) or taken.lane == UNRESOLVED_LANE:
        return None
    return ExternalId(taken.lane, document.kind, document.spec.external_id)


def _work_of(taken: Prepared) -> TakenWork:
    document = taken.document
    return TakenWork(
        kind=document.kind,
        uid=taken.uid,
        lane=taken.lane or UNRESOLVED_LANE,
        at=(document.metadata.namespace or "", document.metadata.name),
        # Brokers are woken when all is there that uses their classes: what nobody uses may be removed.
        is_due=taken.stance is not None and taken.stance.is_due,
        is_on_hold=taken.stance is not None and not taken.stance.is_due,
        memory=taken.memory,
        sealed=taken.sealed,
        ready=_ready(document),
    )


def _ready(document: AnyObject) -> str | None:
    if not kind_of(document).has_status:
        return None
    found = find_condition(getattr(document.status, "conditions", None) or (), ConditionType.READY)  # type: ignore[union-attr]
    return str(found.status) if found else None


async def wake_all(unit: UnitOfWork, uids: Sequence[str]) -> None:
    """Have these looked at, whatever they wait for."""
    for uid in uids:
        command = await unit.work_queue.enqueue_changed(uid)
        if command is not None:
            unit.outbox.add(command)
