"""Stores wishes: each create, update or delete is one transaction that holds the object, its command and its change.

Called by the routes with decoded objects; answers the object as stored. Faults are for `status_objects` to render.
"""

import secrets
import string
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chandlery.contracts.messages import LaneOpened
from chandlery.contracts.topology import WORK_QUEUES
from chandlery.model import kinds
from chandlery.model.bindings import ServiceBinding
from chandlery.model.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.core import Namespace, NamespaceStatus
from chandlery.model.faults import BadRequest, Conflict, FieldProblem, Forbidden, Invalid, NotFound
from chandlery.model.instances import ServiceInstance, UserInfo
from chandlery.model.kinds import AnyObject, Kind, kind_of
from chandlery.model.wire import wire_name
from chandlery.reconcile.deletion import marked_deleted
from chandlery.reconcile.offering import wanted_plan
from chandlery.runtime.batches import Batches
from chandlery.store.database import Database, UnitOfWork, Work
from chandlery_gateway import lookups
from chandlery_gateway.admission import rules
from chandlery_gateway.admission.spec_equality import spec_changed

_BATCH = 32
_PATCH_TRIES = 10
_COLLECTIONS = ("labels", "annotations", "finalizers", "owner_references")
_SUFFIX_CHARS = string.ascii_lowercase + string.digits
Change = Callable[[AnyObject], tuple[AnyObject, tuple[str, ...]]]
"""Makes the new object of the stored one, with sentences for `Warning` headers."""


class Outdated(Conflict):
    """The object has been modified; read the latest version and apply your change to it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for what, and how serious it is."""

    kind: Kind
    namespace: str
    name: str
    user: UserInfo
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Preconditions:
    """What has to hold for a delete."""

    uid: str | None = None
    resource_version: str | None = None


@dataclass(frozen=True)
class Stored:
    """What a write has come to."""

    object: AnyObject
    warnings: tuple[str, ...] = ()
    is_gone: bool = False


class Intake:
    """The write side of the API."""

    def __init__(self, database: Database, *, on_write: Callable[[], None]) -> None:
        """`on_write` is called after each commit, to wake this process's watchers."""
        self._database = database
        self._on_write = on_write
        # Creates that arrive together share a transaction: under load the database commits far less often.
        self._inserts = Batches(self._insert_batch, limit=_BATCH)

    async def create(self, request: Request, document: AnyObject) -> Stored:
        """Store a new object. Raises Invalid, AlreadyExists, NotFound (namespace), Forbidden."""
        named = _named(request, document)
        admitted = rules.default_on_create(named, request.user, new_id=_new_id)
        _refuse((*rules.problems_on_create(admitted), *_unstorable(admitted)))
        if request.dry_run:
            stored = await self._database.run(lambda unit: self._insert(unit, admitted), dry_run=True)
        else:
            stored = await self._inserts(admitted)
        self._on_write()
        return Stored(stored)

    async def change(self, request: Request, change: Change, *, tries: int = 1) -> Stored:
        """Change a stored object. A lost race is tried again if the caller allows; else it raises Conflict."""
        return await self._run(lambda unit: self._update(unit, request, change), request, tries=tries)

    async def patch(self, request: Request, change: Change) -> Stored:
        """Change a stored object by a patch, which applies to whatever is stored now."""
        return await self.change(request, change, tries=_PATCH_TRIES)

    async def delete(self, request: Request, preconditions: Preconditions) -> Stored:
        """Remove the object, or mark it so that its worker lets it go. Raises NotFound, Conflict, Forbidden."""
        return await self._run(lambda unit: self._delete(unit, request, preconditions), request, tries=_PATCH_TRIES)

    async def _run(self, work: Work[Stored], request: Request, *, tries: int) -> Stored:
        for left in range(tries - 1, -1, -1):
            try:
                stored = await self._database.run(work, dry_run=request.dry_run)
            except Outdated:
                raise
            except Conflict:
                if not left:
                    raise
            else:
                self._on_write()
                return stored
        raise AssertionError("the last try returns or raises")

    async def _insert_batch(self, admitted: Sequence[AnyObject]) -> Sequence[AnyObject]:
        async def insert(unit: UnitOfWork) -> Sequence[AnyObject]:
            return [await self._insert(unit, document) for document in admitted]

        return await self._database.run(insert)

    async def _insert(self, unit: UnitOfWork, admitted: AnyObject) -> AnyObject:
        await lookups.check_namespace(unit, admitted)
        document, lane = await lookups.complete(unit, admitted)
        metadata = document.metadata.model_copy(
            update={
                "uid": _new_id(),
                "creation_timestamp": unit.now,
                "generation": 1 if "spec" in kind_of(document).body_fields else None,
                "deletion_timestamp": None,
                "deletion_grace_period_seconds": None,
                "generate_name": None,
            }
        )
        stored = await unit.objects.insert_later(document.model_copy(update={"metadata": metadata}))
        if stored.kind in WORK_QUEUES:
            unit.outbox.add(unit.reconciliations.add_later(stored.kind, metadata.uid or "", lane=lane))
        if isinstance(stored, ClusterServiceBroker | ServiceBroker):
            unit.outbox.add(LaneOpened(lane=lane))
        unit.wake_at_end(lookups.woken_by(stored))
        return stored

    async def _update(self, unit: UnitOfWork, request: Request, change: Change) -> Stored:
        old = await _existing(unit, request, lock=True)
        wanted, warnings = change(old)
        _check_identity(old, wanted)
        warnings = (*warnings, *rules.warnings_on_update(old, wanted))
        new = _server_owned(old, rules.default_on_update(old, wanted, user=request.user))
        _refuse((*rules.problems_on_update(old, new), *_unstorable(new)))
        if isinstance(old, ServiceInstance) and isinstance(new, ServiceInstance):
            new = await _with_plan(unit, old, new, user=request.user)
        if spec_changed(old, new):
            generation = {"generation": (old.metadata.generation or 0) + 1}
            new = new.model_copy(update={"metadata": new.metadata.model_copy(update=generation)})
            unit.outbox.add(await unit.reconciliations.touch(old.metadata.uid or ""))
        if _may_go(new):
            return await _remove(unit, new, warnings)
        stored = await unit.objects.update(old, new)
        if stored is not old:
            unit.wake_at_end(lookups.woken_by(stored))
        return Stored(stored, warnings)

    async def change_status(self, request: Request, change: Change, *, tries: int = 1) -> Stored:
        """Change the status alone; everything else of what the client sent is passed over."""

        async def write(unit: UnitOfWork) -> Stored:
            old = await _existing(unit, request, lock=True)
            wanted, warnings = change(old)
            _check_identity(old, wanted)
            new = old.model_copy(update={"status": getattr(wanted, "status", None)})
            _refuse(rules.problems_on_status_update(new))
            return Stored(await unit.objects.update(old, new), warnings)

        return await self._run(write, request, tries=tries)

    async def _delete(self, unit: UnitOfWork, request: Request, preconditions: Preconditions) -> Stored:
        old = await _existing(unit, request, lock=True)
        _check_preconditions(old, preconditions)
        if isinstance(old, Namespace) and old.metadata.name == "default":
            raise Forbidden("this namespace may not be deleted")
        if old.metadata.deletion_timestamp is not None:
            return Stored(old)
        if not old.metadata.finalizers and not isinstance(old, Namespace):
            return await _remove(unit, old, ())
        marked = _stamped(marked_deleted(old, unit.now), request.user)
        stored = await unit.objects.update(old, marked)
        unit.outbox.add(await unit.reconciliations.touch(old.metadata.uid or ""))
        return Stored(stored)


async def _existing(unit: UnitOfWork, request: Request, *, lock: bool) -> AnyObject:
    found = await unit.objects.get(request.kind, request.namespace, request.name, lock=lock)
    if found is None:
        raise NotFound
    return found


async def _with_plan(
    unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance, *, user: UserInfo
) -> ServiceInstance:
    if not wanted_plan(new.spec).value:
        completed, _ = await lookups.complete(unit, new)
        # Again, for the defaults of an update depend on whether the plan is another one.
        defaulted = _server_owned(old, rules.default_on_update(old, completed, user=user))
        new = defaulted if isinstance(defaulted, ServiceInstance) else new
    await lookups.check_plan_change(unit, old, new)
    return new


async def _remove(unit: UnitOfWork, old: AnyObject, warnings: tuple[str, ...]) -> Stored:
    unit.wake_at_end(await lookups.woken_by_removal(unit, old))
    removed = await unit.objects.remove(old)
    await unit.reconciliations.remove(old.metadata.uid or "")
    unit.wake_at_end(lookups.woken_by(old))
    return Stored(removed, warnings, is_gone=True)


def _named(request: Request, document: AnyObject) -> AnyObject:
    meta = document.metadata
    if meta.namespace and meta.namespace != request.namespace:
        where = f"namespace {request.namespace}" if request.kind.namespaced else "no namespace"
        raise BadRequest(f"the object is in namespace {meta.namespace}, the request is for {where}")
    if meta.resource_version:
        raise BadRequest("resourceVersion should not be set on objects to be created")
    name = meta.name
    if not name and meta.generate_name:
        name = meta.generate_name + "".join(secrets.choice(_SUFFIX_CHARS) for _ in range(5))
    return _with_metadata(document, name=name, namespace=request.namespace or None)


def _server_owned(old: AnyObject, new: AnyObject) -> AnyObject:
    """What a client sends of these is ignored, as in Kubernetes."""
    before = old.metadata
    return _with_metadata(
        new,
        namespace=before.namespace,
        uid=before.uid,
        resource_version=before.resource_version,
        generation=before.generation,
        creation_timestamp=before.creation_timestamp,
        deletion_timestamp=before.deletion_timestamp,
        deletion_grace_period_seconds=before.deletion_grace_period_seconds,
        generate_name=before.generate_name,
        self_link=None,
        managed_fields=None,
    )


def _with_metadata(document: AnyObject, **fields: object) -> AnyObject:
    # Empty is the same as absent, and absent is how it is read back.
    absent: dict[str, object] = {field: None for field in _COLLECTIONS if not getattr(document.metadata, field)}
    return document.model_copy(update={"metadata": document.metadata.model_copy(update=absent | fields)})


def _stamped(document: AnyObject, user: UserInfo) -> AnyObject:
    """The broker is told who deletes, not who created; people see at once that a namespace goes."""
    if isinstance(document, Namespace):
        return document.model_copy(update={"status": NamespaceStatus(phase="Terminating")})
    if not isinstance(document, ServiceInstance | ServiceBinding):
        return document
    return document.model_copy(update={"spec": document.spec.model_copy(update={"user_info": user})})


def _may_go(document: AnyObject) -> bool:
    is_marked = document.metadata.deletion_timestamp is not None
    return is_marked and not document.metadata.finalizers and kind_of(document) is not kinds.NAMESPACE


def _check_identity(old: AnyObject, wanted: AnyObject) -> None:
    """What a client sends of these has to be what is stored, unless it leaves them out."""
    before, after = old.metadata, wanted.metadata
    if after.namespace and after.namespace != before.namespace:
        raise BadRequest(f"the namespace of the object ({after.namespace}) does not match the request's")
    if after.uid and after.uid != before.uid:
        raise Outdated(f"the UID in the precondition ({after.uid}) does not match the UID of the object ({before.uid})")
    if after.resource_version and after.resource_version != before.resource_version:
        raise Outdated


def _unstorable(document: AnyObject) -> tuple[FieldProblem, ...]:
    """PostgreSQL has no text with a NUL in it, and what objects are looked up by is stored as text."""
    holders = {"spec": getattr(document, "spec", ()), "involvedObject": getattr(document, "involved_object", ())}
    return tuple(
        FieldProblem(f"{path}.{wire_name(field)}", "FieldValueInvalid", "must not hold a NUL character")
        for path, holder in holders.items()
        for field, value in holder
        if isinstance(value, str) and "\0" in value
    )


def _check_preconditions(old: AnyObject, preconditions: Preconditions) -> None:
    for wanted, found, what in (
        (preconditions.uid, old.metadata.uid, "UID"),
        (preconditions.resource_version, old.metadata.resource_version, "ResourceVersion"),
    ):
        if wanted is not None and wanted != found:
            raise Outdated(
                f"the {what} in the precondition ({wanted}) does not match the {what} of the object ({found})"
            )


def _refuse(problems: tuple[FieldProblem, ...]) -> None:
    if problems:
        raise Invalid(problems=problems)


def _new_id() -> str:
    return str(uuid.uuid4())
