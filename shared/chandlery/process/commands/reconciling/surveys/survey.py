"""Compares what the database knows with what service brokers have, and with the record of the time that was lost.

Comes in: the database, the brokers' answers to GET requests, what an operator has handed over (`records.py`).
Goes out: findings. Nothing is changed anywhere. Called by `reconcile_run.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.sources.broker_ways import some_at_a_time
from chandlery.process.commands.reconciling.surveys.broker_asking import BrokerAsking, Heard
from chandlery.process.commands.reconciling.surveys.external_things import Difference, Finding, Thing, ThingKey
from chandlery.process.commands.reconciling.surveys.known_here import Here, KnownHere
from chandlery.process.commands.reconciling.surveys.records import Record
from chandlery.process.takeover import Reads

_AT_ONCE: Final = 32
_BY_RECORD: Final = "its broker lets nobody ask for it; the record says so"


@dataclass
class Survey:
    """What has come of it."""

    findings: list[Finding] = field(default_factory=list)
    agreed: int = 0
    unasked: int = 0
    """Of brokers that do not let anybody ask, and the record says nothing else."""


class Surveying:
    """One comparison."""

    def __init__(self, known: KnownHere, record: Record, asking: BrokerAsking, reads: Reads) -> None:
        self._known = known
        self._record = record
        self._asking = asking
        self._reads = reads
        self._found = Survey()
        self._instances: dict[Place, Thing] = {}
        """Of the record, by the places of their objects."""
        self._recorded = {thing.uid for thing in record.things.values() if thing.uid}

    async def run(self, tell: Callable[[str], None]) -> Survey:
        """Ask all brokers."""
        self._place_documents()
        for lane, broker in self._known.brokers.items():
            if problem := await self._asking.open(lane, broker):
                self._tell(Difference.UNANSWERED, Thing(key=ThingKey(lane, "")), note=problem)
        tell(f"{len(self._known.objects):,} objects here and {len(self._record.things):,} of the record to compare")
        await some_at_a_time(map(self._look_here, self._known.objects.values()), most=_AT_ONCE)
        known = self._known.objects.keys() | self._known.retired
        new = [thing for key, thing in self._record.things.items() if key not in known]
        await some_at_a_time((self._look_there(thing) for thing in new if not thing.is_gone), most=_AT_ONCE)
        self._look_at_audit()
        order = list(Difference)
        self._found.findings.sort(key=lambda each: (order.index(each.difference), each.thing.key))
        return self._found

    def _tell(self, difference: Difference, thing: Thing, **more: Any) -> None:
        self._found.findings.append(Finding(difference=difference, thing=thing, **more))

    async def _look_here(self, here: Here) -> None:
        thing = here.thing
        heard = await self._asking.ask(thing) if here.is_settled else Heard()
        recorded = self._record.things.get(thing.key)
        if heard.is_there is None and recorded is not None and recorded.is_gone and here.is_settled:
            self._tell(Difference.NOT_THERE, thing, is_asked=False, note=heard.problem or _BY_RECORD)
        elif heard.problem:
            self._tell(Difference.UNANSWERED, thing, note=heard.problem)
        elif heard.is_there is False:
            self._tell(Difference.NOT_THERE, thing)
        elif heard.is_there is None:
            self._found.unasked += 1
        elif (plan := heard.told.get("plan_id")) and isinstance(plan, str) and thing.plan_id not in ("", plan):
            note = f'its broker has it on the plan "{plan[:64]}"; give it that plan in its specification to keep it'
            self._tell(Difference.OTHER_PLAN, thing, note=note)
        else:
            self._found.agreed += 1

    async def _look_there(self, thing: Thing) -> None:
        heard = await self._asking.ask(thing)
        if heard.is_there is False:
            return
        is_asked = bool(heard.is_there)
        plan = heard.told.get("plan_id")
        if isinstance(plan, str) and plan:
            thing = replace(thing, plan_id=plan)
        mine = self._known.uids.get(thing.uid) if thing.uid else None
        is_rotated = bool(mine and thing.key.binding_id and mine.binding_id)
        difference = Difference.OTHER_CREDENTIALS if is_rotated else Difference.NOT_HERE
        note = "" if is_asked else (heard.problem or _BY_RECORD)
        self._tell(difference, thing, is_asked=is_asked, note=note, told=heard.told)

    def _look_at_audit(self) -> None:
        places = {(thing.kind.plural, thing.place) for thing in self._record.things.values()}
        here = {(kinds.KINDS[kind].plural, place) for kind, place in self._known.places}
        for at, uid in self._record.audited.items():
            if at in places or at in here or (uid and (uid in self._recorded or uid in self._known.uids)):
                continue
            is_binding = at[0] == kinds.SERVICE_BINDING.plural
            thing = Thing(key=ThingKey("", "", "?" if is_binding else ""), place=at[1], uid=uid)
            self._tell(
                Difference.NO_ID,
                thing,
                is_asked=False,
                note="it was created since; hand over the workers' log, or an export with kubectl, for its id",
            )

    def _place_documents(self) -> None:
        """Bindings are found by their instances, and come after all of these."""
        bindings = []
        for document in self._record.documents:
            if document.get("kind") == kinds.SERVICE_INSTANCE.kind:
                self._place(document)
            else:
                bindings.append(document)
        for thing in self._record.things.values():
            if not thing.key.binding_id:
                self._instances.setdefault(thing.place, thing)
        for document in bindings:
            self._place(document)

    def _place(self, document: JsonObject) -> None:
        """An instance or a binding of an export, by the broker of its class."""
        kind = kinds.KINDS[str(document.get("kind"))]
        read = self._reads(kind, document).document
        if read is None:
            return
        place, uid = (read.metadata.namespace or "", read.metadata.name), read.metadata.uid or ""
        external_id = str(getattr(read.spec, "external_id", ""))  # type: ignore[union-attr]
        if isinstance(read, ServiceInstance):
            meant = self._known.offerings.meant_by(read)
            thing = Thing(
                key=ThingKey(meant.lane, external_id),
                place=place,
                uid=uid,
                service_id=meant.service_class.external_id if meant.service_class else "",
                plan_id=meant.plan.external_id if meant.plan else "",
                document=document,
            )
        else:
            at = (place[0], str(read.spec.instance_ref.name))  # type: ignore[union-attr]
            instance = self._instances.get(at) or self._known.instances.get(at)
            if instance is None:
                return
            key = ThingKey(instance.key.lane, instance.key.instance_id, external_id)
            thing = replace(instance, key=key, place=place, uid=uid, document=document)
        if thing.key.lane and external_id:
            before = self._record.things.get(thing.key)
            # An export tells no time, and ids are given out once: what logs say of a deletion came later.
            if before is not None:
                thing = replace(thing, is_gone=before.is_gone, is_going=before.is_going)
            self._record.put(thing)
