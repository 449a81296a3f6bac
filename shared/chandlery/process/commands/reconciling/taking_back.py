"""Does what an operator has said about findings: takes them back, or has them deleted. No call to a service broker.

Comes in: findings. Goes out: entries, one for each, and an event of the audit log for what was done.

- What is not here is taken over as an import does: with the ids that its broker knows, ready, and without a call. To
  mitigate it, it is taken over as an object that is being deleted, so that workers do what they do with every deletion:
  at the broker's pace, repeated until it is confirmed, in the history.
- What is not there is deleted like by a user; its broker says that it is gone.
- A binding that was rotated since is told its new id, and its Secret is written anew.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from chandlery.engine.deletions import delete, remove
from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import to_timestamp
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.command_trail import reconcile_entry
from chandlery.process.commands.imports.import_entries import Verdict
from chandlery.process.commands.imports.import_run import ImportOptions, import_dump
from chandlery.process.commands.imports.known.used_secrets import is_controlled_by, own_secret
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.reconciling.made_documents import MadeDocuments
from chandlery.process.commands.reconciling.surveys.external_things import Difference, Finding, Thing
from chandlery.process.commands.reconciling.surveys.known_here import KnownHere
from chandlery.settings.settings import Settings
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.audit.system_entries import Subject
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.external_ids import ExternalId
from chandlery.store.work.work_claims import TakenWork

ADOPT: Final = "adopt"
MITIGATE: Final = "mitigate"
_GRACE: Final = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What has become of one finding, or would."""

    thing: Thing
    place: tuple[str, str]
    what: str
    problem: str = ""


class TakingBack:
    """Carries out one command."""

    def __init__(
        self, database: Database, settings: Settings, known: KnownHere, *, cluster: ClusterClient | None, applies: bool
    ) -> None:
        self._database = database
        self._settings = settings
        self._known = known
        self._cluster = cluster
        self._applies = applies

    async def run(self, verb: str, findings: Sequence[Finding], *, tell: Callable[[str], None]) -> list[Done]:
        """Do it, or say what would be done."""
        new = [each for each in findings if each.difference == Difference.NOT_HERE]
        done = await self._take_over(verb, new, tell)
        for each in findings:
            if each.difference == Difference.NOT_THERE:
                done.append(await self._settle_gone(verb, each.thing))
            elif each.difference == Difference.OTHER_CREDENTIALS:
                done.append(await self._settle_rotated(verb, each.thing))
            elif each.difference != Difference.NOT_HERE:
                done.append(_refused(each.thing, each.note or "nothing can be done about it from here"))
        return done

    async def _take_over(self, verb: str, findings: Sequence[Finding], tell: Callable[[str], None]) -> list[Done]:
        if not findings:
            return []
        now = to_timestamp(self._database.clock())
        making = MadeDocuments(self._known, findings, deletes=verb == MITIGATE, now=now)
        shelf = DumpShelf()
        for offered in self._known.offered:
            shelf.add({**offered.to_wire(), "kind": offered.kind, "apiVersion": kinds.kind_of(offered).api_version})
        made = {}
        done = []
        for finding in making.findings:
            try:
                document = making.made(finding)
            except ConfigurationFault as fault:
                done.append(_refused(finding.thing, fault.message))
                continue
            shelf.add(document)
            made[finding.thing.kind.kind, (document["metadata"]["namespace"], document["metadata"]["name"])] = finding
        options = ImportOptions(applies=self._applies, resumes=verb == MITIGATE, accepts_invalid=True)
        report = await import_dump(self._database, self._settings, shelf, options, cluster=self._cluster, tell=tell)
        for entry in report.entries:
            found = made.get((entry.kind.kind, entry.place))
            if found is None:
                continue
            if entry.verdict == Verdict.UNFIT:
                done.append(_refused(found.thing, entry.why))
                continue
            what = "is made again, ready" if verb == ADOPT else "is made again to be deleted at its service broker"
            done.append(Done(thing=found.thing, place=entry.place, what=what))
        await self._audit(verb, [each for each in done if not each.problem])
        return done

    async def _settle_gone(self, verb: str, thing: Thing) -> Done:
        if verb == ADOPT:
            return _refused(
                thing, "its service broker does not have it: mitigate it, and create it again if it is wanted"
            )
        await self._apply(partial(_delete, thing=thing), verb, thing)
        return Done(thing=thing, place=thing.place, what="is deleted here; its service broker has nothing of it")

    async def _settle_rotated(self, verb: str, thing: Thing) -> Done:
        if verb == MITIGATE:
            return _refused(thing, "its object here is of use: adopt it, and rotate or delete it then")
        await self._apply(partial(_give_new_id, thing=thing), verb, thing)
        return Done(thing=thing, place=thing.place, what="goes by the new id; its Secret is written anew")

    async def _apply(self, work: Callable[[UnitOfWork], Awaitable[None]], verb: str, thing: Thing) -> None:
        async def run(unit: UnitOfWork) -> None:
            await work(unit)
            unit.audit.note(_entry(verb, thing))

        await self._database.run(run, dry_run=not self._applies)

    async def _audit(self, verb: str, done: Sequence[Done]) -> None:
        async def note(unit: UnitOfWork) -> None:
            for each in done:
                unit.audit.note(_entry(verb, each.thing))

        if self._applies and done:
            await self._database.run(note)


def _refused(thing: Thing, why: str) -> Done:
    return Done(thing=thing, place=thing.place, what="", problem=why)


def _entry(verb: str, thing: Thing) -> AuditEntry:
    kind = thing.kind
    subject = Subject(
        resource=kind.plural,
        namespace=thing.place[0],
        name=thing.place[1],
        uid=thing.uid,
        api_group=kind.group,
        api_version=kind.version,
    )
    return reconcile_entry(verb, subject, external_id=thing.external_id, broker=thing.broker)


async def _delete(unit: UnitOfWork, *, thing: Thing) -> None:
    found = await unit.objects.get_by_uid(thing.kind, thing.uid)
    if found is not None:
        await delete(unit, found)


async def _give_new_id(unit: UnitOfWork, *, thing: Thing) -> None:
    """The notes begin anew, without the copy of the old credentials: the binder asks its broker for the new ones."""
    await unit.work_queue.lock(thing.uid)
    binding = await unit.objects.get_by_uid(kinds.SERVICE_BINDING, thing.uid, lock=True)
    if not isinstance(binding, ServiceBinding):
        return
    memory = await unit.work_queue.memory_of(thing.uid)
    before = memory.get("placement", {})
    placement = {**before, "bindingID": thing.key.binding_id}
    # What it had before may still be there, and is revoked when whoever uses the Secret has had time to read it anew.
    retired = [each for each in memory.get("retired", ()) if each["placement"].get("bindingID") != thing.key.binding_id]
    retired.append({"placement": before, "nextAt": (unit.now + _GRACE).timestamp()})
    await unit.work_queue.remove(thing.uid)
    await unit.external_ids.claim(ExternalId(thing.key.lane, binding.kind, thing.key.binding_id), thing.uid)
    place = (binding.metadata.namespace or "", binding.metadata.name)
    unit.work_queue.add_taken_later(
        TakenWork(
            kind=binding.kind,
            uid=thing.uid,
            lane=thing.key.lane,
            at=place,
            is_due=True,
            memory={**memory, "placement": placement, "retired": retired},
            ready="True",
        )
    )
    secret = await unit.objects.get(kinds.SECRET, *own_secret(binding))
    if isinstance(secret, Secret) and is_controlled_by(secret, thing.uid):
        await remove(unit, secret)
