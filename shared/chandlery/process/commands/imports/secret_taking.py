"""What has to be there before an object: its namespace, and the Secrets that it uses. Called by `import_pass.py`.

Standalone both come with the import: a namespace that is missing is made, and of the Secrets of a dump those are
stored that some object uses, and no others. In a cluster both are there, or the object has to wait for them.
"""

from collections.abc import Iterator, Mapping

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.core import NamespaceStatus, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.process.commands.imports.import_entries import Entry, Judged, Place, Prepared, Verdict
from chandlery.process.commands.imports.known.stored_objects import told_differences
from chandlery.process.commands.imports.known.used_secrets import (
    credentials_in,
    is_controlled_by,
    own_secret,
    used_secrets,
)
from chandlery.process.commands.imports.object_taking import ObjectTaking, Unfit
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.imports.sources.homes import Home


class SecretTaking:
    """Looks at each namespace and each Secret once."""

    def __init__(self, taking: ObjectTaking, home: Home, shelf: DumpShelf) -> None:
        self._taking = taking
        self._home = home
        self._shelf = shelf
        self._namespaces: dict[str, str] = {}
        """Why nothing can be stored there; empty if it can."""
        self._seen: set[Place] = set()

    async def namespace_of(self, document: AnyObject) -> list[Judged]:
        """The namespace, if it has to be made first. Raises Unfit if nothing can be stored in it."""
        name = document.metadata.namespace or ""
        if not name:
            return []
        made = [] if name in self._namespaces else await self._look_at(name)
        if why := self._namespaces[name]:
            raise Unfit(why)
        return made

    async def _look_at(self, name: str) -> list[Judged]:
        found = await self._home.namespace(name)
        self._namespaces[name] = ""
        if found is not None:
            if found.metadata.deletion_timestamp is not None:
                self._namespaces[name] = f'the namespace "{name}" is being terminated'
            return []
        if self._home.is_cluster:
            self._namespaces[name] = f'the namespace "{name}" does not exist: kubectl create namespace {name}'
            return []
        return [self._made(name)]

    def _made(self, name: str) -> Judged:
        if not self._shelf.has(kinds.NAMESPACE, ("", name)):
            # Made of a manifest, so that it gets what every namespace has.
            document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._shelf.add(document)
            remark = "it is not in the dump and gets a new uid, which service brokers know as space_guid"
        else:
            remark = ""
        try:
            candidate = self._taking.read(kinds.NAMESPACE, ("", name))
        except Unfit as unfit:
            self._namespaces[name] = f'its namespace "{name}" does not fit: {unfit}'
            return Judged(entry=Entry(kind=kinds.NAMESPACE, place=("", name), verdict=Verdict.UNFIT, why=str(unfit)))
        metadata = candidate.document.metadata.model_copy(
            update={"deletion_timestamp": None, "deletion_grace_period_seconds": None, "finalizers": None}
        )
        active = {"metadata": metadata, "status": NamespaceStatus()}
        document_made = candidate.document.model_copy(update=active)
        entry = Entry(
            kind=kinds.NAMESPACE, place=("", name), verdict=Verdict.CREATE, remarks=(remark,) if remark else ()
        )
        return Judged(entry=entry, prepared=Prepared(document=document_made, lane=UNRESOLVED_LANE))

    def used_by(self, document: AnyObject, secrets: Mapping[Place, Secret]) -> Iterator[Judged]:
        """The Secrets of the dump that the object uses, or has as its own, and nobody had before it."""
        if self._home.is_cluster:
            return
        for place in self._places(document):
            if place not in self._seen and place in secrets:
                self._seen.add(place)
                yield self._judged(place, secrets[place])

    def _judged(self, place: Place, secret: Secret) -> Judged:
        kind = kinds.SECRET
        if self._home.is_stored(place):
            old = self._in_dump(place)
            remarks = tuple(told_differences(secret, old)) if old is not None else ()
            return Judged(entry=Entry(kind=kind, place=place, verdict=Verdict.THERE, remarks=remarks))
        try:
            return self._taking.judged(self._taking.read(kind, place))
        except Unfit as unfit:
            return Judged(entry=Entry(kind=kind, place=place, verdict=Verdict.UNFIT, why=str(unfit)))

    def _in_dump(self, place: Place) -> AnyObject | None:
        try:
            return self._taking.read(kinds.SECRET, place).document if self._shelf.has(kinds.SECRET, place) else None
        except Unfit:
            return None

    def missing(self, document: AnyObject, secrets: Mapping[Place, Secret]) -> Iterator[str]:
        """Remarks about Secrets that the object uses and that are nowhere."""
        for place, field in used_secrets(document):
            if place not in secrets and not self._home.is_unknown(place):
                where = "in the cluster" if self._home.is_cluster else "in the dump or here"
                yield f'the Secret "{"/".join(place)}" of {field} is not {where}: create it'

    def _places(self, document: AnyObject) -> Iterator[Place]:
        yield from (place for place, _ in used_secrets(document))
        if isinstance(document, ServiceBinding):
            yield own_secret(document)

    def remarks_on_own(self, document: AnyObject, secrets: Mapping[Place, Secret]) -> Iterator[str]:
        """Remarks about the Secret of a binding that is ready."""
        if not isinstance(document, ServiceBinding) or not is_true(document.status.conditions, ConditionType.READY):
            return
        place = own_secret(document)
        secret, name = secrets.get(place), "/".join(place)
        if self._home.is_unknown(place):
            yield f'the Secret "{name}" may not be read here, so no copy is kept of what is in it'
        elif secret is None:
            yield (
                f'its Secret "{name}" is missing: its service broker is asked for the credentials if it can be, else '
                "they have to be rotated"
            )
        elif not is_controlled_by(secret, document.metadata.uid):
            yield f'the Secret "{name}" belongs to somebody else and stays theirs'
        elif credentials_in(secret, document) is None:
            yield f'no copy is kept of what is in the Secret "{name}", so it cannot be restored without its broker'
