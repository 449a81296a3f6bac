"""One way through a dump, in the order in which objects refer to one another: judges each and, if wanted, stores it.

Comes in: the shelf, the rules, the database. Goes out: an `Entry` for each object, in the order of the kinds; what
fits is stored in transactions of a few hundred objects, an instance always with its bindings. What cannot be stored
with others is stored alone, so that one object is refused and not its neighbours.
Called by: `import_run.py`. Nothing here calls a service broker.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from chandlery.model.faults import AlreadyExists, Conflict, Fault
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.process.commands.imports.import_entries import Entry, Judged, Place, Prepared, Verdict
from chandlery.process.commands.imports.import_writing import external_id_of, wake_all, write_all
from chandlery.process.commands.imports.known.stored_objects import is_same_object, told_differences
from chandlery.process.commands.imports.known.used_secrets import (
    credentials_in,
    is_controlled_by,
    own_secret,
    used_secrets,
)
from chandlery.process.commands.imports.object_taking import Candidate, ObjectTaking, Unfit
from chandlery.process.commands.imports.secret_taking import SecretTaking
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.imports.sources.homes import Home
from chandlery.process.takeover import Stance
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.external_ids import ExternalId, ExternalIdTaken

_T = TypeVar("_T")
_AT_ONCE: Final = 200
_REFERRED_TO: Final = (*kinds.BROKER_KINDS, *kinds.CLASS_KINDS, *kinds.PLAN_KINDS)


class ImportPass:
    """Goes once through one dump."""

    def __init__(
        self, shelf: DumpShelf, taking: ObjectTaking, database: Database, *, home: Home, applies: bool
    ) -> None:
        self._shelf = shelf
        self._taking = taking
        self._database = database
        self._home = home
        self._applies = applies
        self._secrets = SecretTaking(taking, home, shelf)
        self._ids: dict[ExternalId, Place] = {}
        self._brokers: list[str] = []
        self._resumed: list[str] = []
        """Uids of those that an earlier import has held."""
        self._held: set[str] = set()
        """Those of the objects in hand that are held still."""

    async def run(self) -> AsyncIterator[Sequence[Entry]]:
        """What becomes of the objects, some at a time, as it is decided and done."""
        for kind in _REFERRED_TO:
            for places in _chunks(self._shelf.places(kind)):
                yield await self._settled([[each] for each in await self._judged(kind, places)])
        for places in _chunks(self._shelf.places(kinds.SERVICE_INSTANCE)):
            yield await self._with_bindings(places)
        done = {each for place in self._shelf.places(kinds.SERVICE_INSTANCE) for each in self._shelf.bindings_of(place)}
        left = [place for place in self._shelf.places(kinds.SERVICE_BINDING) if place not in done]
        for places in _chunks(left):
            self._taking.taken.instances.clear()
            yield await self._settled([[each] for each in await self._judged(kinds.SERVICE_BINDING, places)])
        if self._applies:
            # Brokers last of all: classes that nobody uses yet may be removed when a catalog is read, which is to be
            # soon, for what Service Catalog has kept of them is less than what there is.
            for uids in _chunks([*self._resumed, *self._brokers]):
                await self._wake(uids)

    async def _wake(self, uids: Sequence[str]) -> None:
        await self._database.run(lambda unit: wake_all(unit, uids))

    async def _with_bindings(self, instances: Sequence[Place]) -> Sequence[Entry]:
        self._taking.taken.instances.clear()
        judged = await self._judged(kinds.SERVICE_INSTANCE, instances)
        groups: dict[Place, list[Judged]] = {}
        alone: list[list[Judged]] = []
        for each in judged:
            if each.entry.kind == kinds.SERVICE_INSTANCE:
                groups[each.entry.place] = [each]
            else:
                alone.append([each])
        bindings = [each for place in instances for each in self._shelf.bindings_of(place)]
        for each in await self._judged(kinds.SERVICE_BINDING, bindings):
            document = each.prepared.document if each.prepared else None
            if isinstance(document, ServiceBinding):
                groups[document.metadata.namespace or "", document.spec.instance_ref.name].append(each)
            else:
                alone.append([each])
        return await self._settled([*alone, *groups.values()])

    async def _judged(self, kind: Kind, places: Sequence[Place]) -> list[Judged]:
        """Each, after what has to be there before it: its namespace, the Secrets that it uses."""
        stored = await self._stored_at(kind, places)
        candidates: dict[Place, Candidate | Unfit] = {place: self._read(kind, place) for place in places}
        secrets = await self._home.secrets(_secret_places(candidates.values()))
        if kind == kinds.SERVICE_BINDING:
            await self._find_instances(candidates.values())
        await self._find_held(stored.values())
        judged = list[Judged]()
        for place, candidate in candidates.items():
            judged += await self._judge(kind, place, candidate, stored=stored.get(place), secrets=secrets)
        return await self._without_taken_ids(judged)

    def _read(self, kind: Kind, place: Place) -> Candidate | Unfit:
        try:
            return self._taking.read(kind, place)
        except Unfit as unfit:
            return unfit

    async def _judge(
        self,
        kind: Kind,
        place: Place,
        candidate: Candidate | Unfit,
        *,
        stored: AnyObject | None,
        secrets: Mapping[Place, Secret],
    ) -> list[Judged]:
        try:
            if isinstance(candidate, Unfit):
                raise candidate
            if stored is not None:
                there = self._there(kind, place, candidate, stored)
                # A first dump may have been without Secrets.
                return [*self._secrets.used_by(candidate.document, secrets), there]
            first = await self._secrets.namespace_of(candidate.document)
            before = [*first, *self._secrets.used_by(candidate.document, secrets)]
            judged = self._taking.judged(candidate, credentials=_credentials(candidate.document, secrets))
        except Unfit as unfit:
            return [Judged(entry=Entry(kind=kind, place=place, verdict=Verdict.UNFIT, why=str(unfit)))]
        asked = (candidate.document, secrets)
        more = (*self._secrets.missing(*asked), *self._secrets.remarks_on_own(*asked))
        entry = replace(judged.entry, remarks=(*judged.entry.remarks, *more))
        if kind in kinds.BROKER_KINDS and judged.prepared is not None:
            self._brokers.append(judged.prepared.uid)
        return [*before, replace(judged, entry=entry)]

    async def _find_held(self, stored: Iterable[AnyObject]) -> None:
        uids = [each.metadata.uid or "" for each in stored if isinstance(each, ServiceInstance | ServiceBinding)]
        self._held = await self._database.run(lambda unit: unit.wakes.on_hold(uids)) if uids else set()

    def _there(self, kind: Kind, place: Place, candidate: Candidate, stored: AnyObject) -> Judged:
        if not is_same_object(stored, candidate.document):
            what = "an object with another external id"
            if kind in _REFERRED_TO:
                is_broker = kind in kinds.BROKER_KINDS
                what = "another service broker" if is_broker else "one of another service broker, or with another id,"
            raise Unfit(f"{what} of this name is here already: delete that, if it is of no use, and import again")
        self._taking.taken.note(stored, old_uid=candidate.old_uid)
        if kind in kinds.BROKER_KINDS:
            # An import that was cut short has left it asleep.
            self._brokers.append(stored.metadata.uid or "")
        stance = None
        if stored.metadata.uid in self._held:
            stance = Stance.RESUMED if self._taking.resumes else Stance.HELD
        if stance == Stance.RESUMED:
            self._resumed.append(stored.metadata.uid or "")
        remarks = tuple(told_differences(stored, candidate.document))
        return Judged(entry=Entry(kind=kind, place=place, verdict=Verdict.THERE, stance=stance, remarks=remarks))

    async def _stored_at(self, kind: Kind, places: Iterable[Place]) -> dict[Place, AnyObject]:
        wanted = set(places)
        found = await self._database.run(lambda unit: unit.objects.prefetch(kind, wanted)) if wanted else ()
        return {(each.metadata.namespace or "", each.metadata.name): each for each in found}

    async def _find_instances(self, candidates: Iterable[Candidate | Unfit]) -> None:
        """The instances of bindings that are here already, with their notes; none where the dump has another one."""
        bindings = [each.document for each in candidates if isinstance(each, Candidate)]
        places = {
            (each.metadata.namespace or "", each.spec.instance_ref.name)
            for each in bindings
            if isinstance(each, ServiceBinding)
        }
        kind, taken = kinds.SERVICE_INSTANCE, self._taking.taken
        places = {place for place in places if taken.has(kind, place) or not self._shelf.has(kind, place)}
        for place, found in (await self._stored_at(kinds.SERVICE_INSTANCE, places)).items():
            uid = found.metadata.uid or ""
            memory = await self._database.run(lambda unit, uid=uid: unit.work_queue.memory_of(uid))  # type: ignore[misc]
            if isinstance(found, ServiceInstance) and place not in self._taking.taken.instances:
                known = Prepared(document=found, lane=str(memory.get("lane", "")), memory=memory)
                self._taking.taken.instances[place] = known

    async def _without_taken_ids(self, judged: Sequence[Judged]) -> list[Judged]:
        """What the service broker has belongs to one object alone."""
        ids = [external_id_of(each.prepared) if each.prepared else None for each in judged]
        wanted = {each for each in ids if each is not None}
        owners = await self._database.run(lambda unit: unit.external_ids.owners(wanted)) if wanted else {}
        settled = []
        for each, external_id in zip(judged, ids, strict=True):
            why = ""
            if external_id is not None and external_id in owners:
                why = "another object here has its external id at the same service broker"
            elif external_id is not None:
                first = self._ids.setdefault(external_id, each.entry.place)
                if first != each.entry.place:
                    why = f"{'/'.join(first)} in the dump has the same external id at the same service broker"
            if why:
                # Nor can what belongs to it be taken over.
                self._taking.taken.forget(each.entry.kind, each.entry.place)
            settled.append(_refused(each, why) if why else each)
        return settled

    async def _settled(self, groups: Sequence[Sequence[Judged]]) -> Sequence[Entry]:
        """Stored, if that is wanted: all in one transaction, or group by group if that fails."""
        judged = [each for group in groups for each in group]
        taken = [each.prepared for each in judged if each.prepared is not None]
        if not self._applies or not taken:
            return [each.entry for each in judged]
        if await self._tried(taken) is None:
            return [each.entry for each in judged]
        entries = list[Entry]()
        for group in groups:
            some = [each.prepared for each in group if each.prepared is not None]
            why = await self._tried(some) if some else None
            entries += [(_refused(each, why) if why and each.prepared else each).entry for each in group]
        return entries

    async def _tried(self, taken: Sequence[Prepared]) -> str | None:
        """Why these cannot be stored; None if they are."""

        async def write(unit: UnitOfWork) -> None:
            await write_all(unit, taken)

        try:
            await self._database.run(write)
        except ExternalIdTaken:
            return "another object here has its external id at the same service broker"
        except (AlreadyExists, Conflict) as fault:
            return _said(fault)
        return None


def _said(fault: Fault) -> str:
    return f"it, or what belongs to it, was created by somebody else at the same moment: {fault.message}"


def _refused(judged: Judged, why: str) -> Judged:
    return Judged(entry=replace(judged.entry, verdict=Verdict.UNFIT, stance=None, why=why))


def _secret_places(candidates: Iterable[Candidate | Unfit]) -> set[Place]:
    documents = [each.document for each in candidates if isinstance(each, Candidate)]
    used = {place for document in documents for place, _ in used_secrets(document)}
    return used | {own_secret(each) for each in documents if isinstance(each, ServiceBinding)}


def _credentials(document: AnyObject, secrets: Mapping[Place, Secret]) -> dict[str, object] | None:
    if not isinstance(document, ServiceBinding):
        return None
    secret = secrets.get(own_secret(document))
    if secret is None or not is_controlled_by(secret, document.metadata.uid):
        return None
    return credentials_in(secret, document)


def _chunks(places: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]
