"""From one document of a dump to the object that is stored, or why it does not fit. Pure, but for what it remembers.

Comes in: documents from the shelf, read by the gateway's rules. Goes out: objects with uids, owners and the notes of
their workers. What others refer to is remembered on the way: classes, plans, uids. So the order counts.

An object keeps its uid: owner references to it, on its Secret before all others, go on to be right.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model.faults import FieldProblem
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import KINDS, AnyObject, Kind, kind_of
from chandlery.model.objects.metadata import OwnerReference
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Entry, Judged, Place, Prepared, Verdict
from chandlery.process.commands.imports.known.offering_index import OfferingIndex, broker_place, class_place
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.takeover import Neighbourhood, Reads, TakenOver, Takes
from chandlery.reconcile.parameters.keyed_checksums import ChecksumKeys
from chandlery.reconcile.reconcile_result import broker_key

_UID: Final = re.compile(r"[0-9A-Za-z][-0-9A-Za-z]{0,35}")
_NEVER_ACCEPTED: Final = ("metadata.name", "spec.externalID", "metadata.ownerReferences")
"""What goes into paths and keys has to be right, whoever wants it otherwise."""
_PLAN_GONE: Final = "its plan is not in the catalog any more: it goes on as it is, and can be given another plan"


class Unfit(Exception):
    """It cannot be taken over; the text says why and what helps."""


@dataclass(frozen=True, kw_only=True)
class TakingRules:
    """How objects are taken over."""

    reads: Reads
    takes: Mapping[str, Takes]
    checksums: ChecksumKeys
    poll_seconds: float
    resumes: bool
    accepts_invalid: bool
    is_cluster: bool
    """Whether Secrets and owners of other kinds are the cluster's."""
    clock: Callable[[], datetime]


@dataclass
class Taken:
    """What has been taken over so far, for what refers to it."""

    offerings: OfferingIndex = field(default_factory=OfferingIndex)
    places: dict[str, dict[Place, str]] = field(default_factory=dict)
    """By kind: the uids of those that are there, or will be."""
    uids: dict[str, str] = field(default_factory=dict)
    """Old uids, and those that the objects have by now."""
    instances: dict[Place, Prepared] = field(default_factory=dict)
    """Of the chunk that is in hand: for their bindings."""

    def has(self, kind: Kind, place: Place) -> bool:
        """Whether there is, or will be, such an object."""
        return place in self.places.get(kind.kind, ())

    def note(self, document: AnyObject, *, old_uid: str | None = None) -> None:
        """It is there, or will be."""
        meta = document.metadata
        self.places.setdefault(document.kind, {})[meta.namespace or "", meta.name] = meta.uid or ""
        if old_uid:
            self.uids[old_uid] = meta.uid or ""
        self.offerings.add(document)

    def forget(self, kind: Kind, place: Place) -> None:
        """It will not be there after all."""
        self.places.get(kind.kind, {}).pop(place, None)
        if kind == kinds.SERVICE_INSTANCE:
            self.instances.pop(place, None)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A document that has been read."""

    document: AnyObject
    remarks: tuple[str, ...]
    old_uid: str


class ObjectTaking:
    """Makes what is stored of what has been read."""

    def __init__(self, shelf: DumpShelf, rules: TakingRules) -> None:
        self._shelf = shelf
        self._rules = rules
        self.taken = Taken()

    @property
    def resumes(self) -> bool:
        """Whether workers go on at once with what is left to do."""
        return self._rules.resumes

    def read(self, kind: Kind, place: Place) -> Candidate:
        """The object as it is stored but for its work. Raises Unfit."""
        found = self._rules.reads(kind, self._shelf.find(kind, place) or {})
        if found.document is None or not self._accepts(found.problems):
            raise Unfit(_told(found.problems, may_accept=found.document is not None))
        document, meta = found.document, found.document.metadata
        if meta.deletion_timestamp is not None and not meta.finalizers:
            raise Unfit("it was being deleted, and nothing holds it any more: take another dump")
        remarks = [*found.remarks, *(f"{each.field}: {each.message}" for each in found.problems)]
        old_uid = meta.uid or ""
        uid = old_uid if _UID.fullmatch(old_uid) else str(uuid4())
        if uid != old_uid:
            remarks.append("it gets a new uid, for the dump has none that could be kept")
        owners = self._owners(document, remarks)
        changes: dict[str, Any] = {
            "uid": uid,
            "resource_version": None,
            "creation_timestamp": meta.creation_timestamp or self._rules.clock(),
            "generation": (meta.generation or 1) if "spec" in kind.body_fields else None,
            "deletion_grace_period_seconds": 0 if meta.deletion_timestamp else None,
            "owner_references": owners or None,
        }
        document = document.model_copy(update={"metadata": meta.model_copy(update=changes)})
        return Candidate(document=document, remarks=tuple(remarks), old_uid=old_uid)

    def _accepts(self, problems: tuple[FieldProblem, ...]) -> bool:
        if not problems:
            return True
        return self._rules.accepts_invalid and not any(each.field.startswith(_NEVER_ACCEPTED) for each in problems)

    def _owners(self, document: AnyObject, remarks: list[str]) -> list[OwnerReference]:
        """Those that will be there: the garbage collector takes what has lost its owners."""
        kept = []
        for owner in document.metadata.owner_references or ():
            kind = KINDS.get(owner.kind)
            is_ours = kind is not None and kind.api_version == owner.api_version
            if is_ours and self._rules.is_cluster and kind not in kinds.CATALOG_KINDS:
                is_ours = False
            uid = self.taken.uids.get(owner.uid) or (owner.uid if owner.uid in self._shelf.uids else None)
            if not is_ours:
                kept.append(owner)
            elif uid is None:
                remarks.append(f"its owner {owner.kind}/{owner.name} is not in the dump, and is left out")
            else:
                kept.append(owner.model_copy(update={"uid": uid}))
        return kept

    def judged(self, candidate: Candidate, *, credentials: JsonObject | None = None) -> Judged:
        """What is stored, with what is left to do for one that is held. Raises Unfit."""
        document, remarks = candidate.document, candidate.remarks
        taken, lane = TakenOver(document=document), _lane_of(document)
        stance = None
        match document:
            case ServiceInstance():
                taken, lane, more = self._instance(document)
                remarks, stance = (*remarks, *more), taken.stance
            case ServiceBinding():
                taken, lane = self._binding(document, credentials)
                stance = taken.stance
            case _:
                self._check_references(document)
        if taken.problem:
            raise Unfit(taken.problem)
        prepared = Prepared(document=taken.document, lane=lane, stance=stance, memory=taken.memory, sealed=taken.sealed)
        if isinstance(taken.document, ServiceInstance):
            self.taken.instances[_place(taken.document)] = prepared
        self.taken.note(taken.document, old_uid=candidate.old_uid)
        entry = Entry(
            kind=kind_of(document),
            place=_place(document),
            verdict=Verdict.CREATE,
            stance=stance,
            why=taken.why,
            remarks=remarks,
        )
        return Judged(entry=entry, prepared=prepared)

    def _check_references(self, document: AnyObject) -> None:
        if isinstance(document, AnyClass | AnyPlan):
            broker = kinds.SERVICE_BROKER if document.metadata.namespace else kinds.CLUSTER_SERVICE_BROKER
            self._require(broker, broker_place(document), "service broker")
        if isinstance(document, AnyPlan):
            of = kinds.SERVICE_CLASS if document.metadata.namespace else kinds.CLUSTER_SERVICE_CLASS
            self._require(of, class_place(document), "class")

    def _require(self, kind: Kind, place: Place, what: str) -> None:
        if not self.taken.has(kind, place):
            raise Unfit(f'its {what} "{place[1]}" is not there and does not come with the dump, or does not fit')

    def _instance(self, instance: ServiceInstance) -> tuple[TakenOver, str, tuple[str, ...]]:
        meant = self.taken.offerings.meant_by(instance)
        around = self._around(
            lane=meant.lane,
            service_id=meant.service_class.external_id if meant.service_class else "",
            plan_id=meant.plan.external_id if meant.plan else "",
        )
        gone = () if meant.plan or not meant.service_class else (_PLAN_GONE,)
        return self._rules.takes[instance.kind](instance, around), meant.lane or UNRESOLVED_LANE, gone

    def _binding(self, binding: ServiceBinding, credentials: JsonObject | None) -> tuple[TakenOver, str]:
        take = self._rules.takes[binding.kind]
        found = self.taken.instances.get((binding.metadata.namespace or "", binding.spec.instance_ref.name))
        if found is None or not isinstance(found.document, ServiceInstance):
            return take(binding, self._around(credentials=credentials)), UNRESOLVED_LANE
        around = self._around(
            lane="" if found.lane == UNRESOLVED_LANE else found.lane,
            service_id=str(found.memory.get("serviceID", "")),
            plan_id=str(found.memory.get("planID", "")),
            instance=found.document,
            credentials=credentials,
        )
        return take(binding, around), found.lane

    def _around(self, **known: Any) -> Neighbourhood:
        rules = self._rules
        now = rules.clock()
        return Neighbourhood(
            resumes=rules.resumes, poll_seconds=rules.poll_seconds, checksums=rules.checksums, now=now, **known
        )


def _place(document: AnyObject) -> Place:
    return (document.metadata.namespace or "", document.metadata.name)


def _lane_of(document: AnyObject) -> str:
    if isinstance(document, AnyBroker):
        return broker_key(document.metadata.namespace, document.metadata.name)
    return UNRESOLVED_LANE if kind_of(document) == kinds.NAMESPACE else ""


def _told(problems: tuple[FieldProblem, ...], *, may_accept: bool) -> str:
    told = "; ".join(f"{each.field}: {each.message}" if each.field else each.message for each in problems[:5])
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""  # noqa: PLR2004 - as many as are shown
    is_open = may_accept and not any(each.field.startswith(_NEVER_ACCEPTED) for each in problems)
    way = ". Correct it there and take another dump, or store it as it is with --accept-invalid" if is_open else ""
    return f"{told}{more}{way}"
