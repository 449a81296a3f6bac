"""The write side of the API: each create, update or delete is one transaction of object, command and change.

Comes in: decoded objects and mutations, with the user and the options of the request.
Goes out: the object as stored. Faults are for `status_objects` to render.
Called by: the handlers of writes (`routes/write_handlers.py`). `write_transactions.py` has what is done within one.

What needs no transaction is done before one is opened: the rules of the object alone (`ObjectAdmission.prepare`),
costly mutations, and the questions to the authorizer. Creates that arrive together share a transaction, and so do
changes, and deletes, of instances and bindings, and those of a collection of whatever kind; a lost race is tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice

from chandlery.engine.batches import Batches, Part
from chandlery.model.faults import Conflict, Fault, Invalid, NotFound
from chandlery.model.objects.kinds import SERVICE_BINDING, SERVICE_INSTANCE, AnyObject
from chandlery.platform.protocol import NamespaceGate
from chandlery.process.aside import aside_if
from chandlery.reconcile.policies.broker_policy import AS_SHORT_AS_ASKED, ShortestPauses
from chandlery.store.database import Database, UnitOfWork, Work
from chandlery.store.objects.external_ids import ExternalIdTaken
from chandlery.store.objects.pending_writes import Overtaken
from chandlery_gateway.admission.brokers.broker_address_admission import EXPECTED_PLACES, BrokerPlaces
from chandlery_gateway.admission.catalog.object_admission import AccessUndecided, NamesUnknown, ObjectAdmission
from chandlery_gateway.identity.authorization import Authorizer
from chandlery_gateway.write.broker_names import BrokerNames
from chandlery_gateway.write.granted_roles import GrantCheck
from chandlery_gateway.write.mutations import NotPrepared, PreparedMutation, is_large, preparable
from chandlery_gateway.write.namespace_gate import check_namespace
from chandlery_gateway.write.write_permissions import id_in_use, require_adoption, with_access
from chandlery_gateway.write.write_requests import (
    Change,
    Deletion,
    Mutation,
    Outdated,
    Preconditions,
    Stored,
    WriteRequest,
    named,
)
from chandlery_gateway.write.write_transactions import WriteTransactions

_BATCH = 32
_PAUSE_SECONDS = 0.001
_WRITTEN_TOGETHER = (SERVICE_INSTANCE, SERVICE_BINDING)
"""The others are few, and some of them hold locks that many wait for."""
_PATCH_TRIES = 10
_PREPARATIONS = 10


class ObjectWriter:
    """The write side of the API."""

    def __init__(
        self,
        database: Database,
        *,
        on_write: Callable[[WriteRequest], None],
        authorizer: Authorizer,
        shortest: ShortestPauses = AS_SHORT_AS_ASKED,
        places: BrokerPlaces = EXPECTED_PLACES,
        namespaces: NamespaceGate | None = None,
    ) -> None:
        """`on_write` is called after each commit, to wake this process's watchers and to count.

        `namespaces` knows those of a cluster; without it they are in our own database.
        """
        self._database = database
        self._authorizer = authorizer
        self._grants = GrantCheck(authorizer, database)
        self._on_write = on_write
        self._namespaces = namespaces
        self._admission = ObjectAdmission(shortest, places, stores_namespaces=namespaces is None)
        self._names = BrokerNames(places)
        self._transactions = WriteTransactions(self._admission)
        # Under load the database commits far less often.
        self._inserts = Batches(self._insert_batch, limit=_BATCH, pause_seconds=_PAUSE_SECONDS)
        self._changes = Batches(self._change_batch, limit=_BATCH, pause_seconds=_PAUSE_SECONDS)
        self._deletes = Batches(self._delete_batch, limit=_BATCH, pause_seconds=_PAUSE_SECONDS)
        self._collection_deletes = Batches(self._delete_batch, limit=_BATCH)
        self._collection_trials = Batches(partial(self._delete_batch, dry_run=True), limit=_BATCH)

    async def create(self, request: WriteRequest, document: AnyObject) -> Stored:
        """Store a new object.

        Raises Invalid, AlreadyExists, NotFound (namespace), Forbidden (also for its Secrets and its external id).
        """
        sent = named(request, document)
        try:
            return await self._create(request, sent)
        except Invalid as fault:
            # A generated name stands in no request: as kube-apiserver says it, for whoever reads the problems.
            fault.name = fault.name or sent.metadata.name
            raise

    async def _create(self, request: WriteRequest, sent: AnyObject) -> Stored:
        await check_namespace(self._namespaces, sent)
        new = await aside_if(is_large(sent), lambda: self._admission.prepare(sent, request.user))
        if new.chosen_id:
            await require_adoption(self._authorizer, request, sent.metadata.name)
        if new.grant is not None:
            await self._grants.check(request, new.grant)
        if new.secrets:
            await with_access(self._authorizer, request, new.secrets)
        await self._names.check(self._admission.named_places(new.document))
        try:
            stored = await self._insert(request, new.document)
        except ExternalIdTaken:
            raise id_in_use(new.document) from None
        self._on_write(request)
        return Stored(stored, new.warnings)

    async def _insert(self, request: WriteRequest, prepared: AnyObject) -> AnyObject:
        if request.dry_run:
            return await self._database.run(lambda unit: self._transactions.insert(unit, prepared), dry_run=True)
        return await self._inserts(prepared)

    async def _insert_batch(self, parts: Sequence[Part[AnyObject]]) -> Sequence[AnyObject]:
        return await self._database.run(lambda unit: self._transactions.insert_all(unit, parts))

    async def change(self, request: WriteRequest, mutation: Mutation, *, tries: int = 1) -> Stored:
        """Change a stored object. A lost race is tried again if the caller allows; else it raises Conflict."""
        prepared = preparable(mutation)
        while True:
            try:
                return await self._change(request, prepared, tries=tries)
            except AccessUndecided as fault:
                request = await with_access(self._authorizer, request, fault.references)
                if fault.grant is not None:
                    await self._grants.check(request, fault.grant)
                    request = replace(request, grantable=fault.grant)
            except NamesUnknown as fault:
                await self._names.check(fault.named)
                request = replace(request, looked_up=request.looked_up | fault.named)

    async def _change(self, request: WriteRequest, mutation: PreparedMutation, *, tries: int) -> Stored:
        change = Change(request=request, mutation=mutation)

        async def changed() -> Stored:
            if _is_written_together(request):
                # Others came first, in a transaction that is younger than that of the batch: again by itself.
                with suppress(Overtaken):
                    return _settled(await self._changes(change))
            return _settled(*await self._change_batch([Part(change)], dry_run=request.dry_run))

        return await self._prepared(mutation, lambda: self._tried(changed, request, tries=tries))

    async def _change_batch(
        self, parts: Sequence[Part[Change]], *, dry_run: bool = False
    ) -> Sequence[Stored | Exception]:
        return await self._database.run(lambda unit: self._transactions.update_all(unit, parts), dry_run=dry_run)

    async def patch(self, request: WriteRequest, mutation: Mutation) -> Stored:
        """Change a stored object by a patch, which applies to whatever is stored now."""
        return await self.change(request, mutation, tries=_PATCH_TRIES)

    async def change_status(self, request: WriteRequest, mutation: Mutation, *, tries: int = 1) -> Stored:
        """Change the status alone; everything else of what the client sent is passed over."""
        prepared = preparable(mutation)

        def write(unit: UnitOfWork) -> Awaitable[Stored]:
            return self._transactions.write_status(unit, request, prepared)

        return await self._prepared(prepared, lambda: self._run(write, request, tries=tries))

    async def delete(self, request: WriteRequest, preconditions: Preconditions, *, policy: str | None = None) -> Stored:
        """Remove the object, or mark it so that its worker lets it go. Raises NotFound, Conflict, Forbidden."""
        deletion = Deletion(request=request, preconditions=preconditions, policy=policy)
        return await self._delete(deletion, self._deletes if _is_written_together(request) else None)

    async def delete_all(self, deletions: Iterable[Deletion]) -> None:
        """Delete each of a collection, in portions that share transactions; what has gone by itself is gone.

        Raises the first fault. What comes after its portion is left as it is, as in kube-apiserver.
        """
        left = iter(deletions)
        while portion := list(islice(left, _BATCH)):
            # With a portion under way at a time, single deletions of others get in between.
            outcomes = await asyncio.gather(*map(self._delete_one_of_many, portion), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, NotFound):
                    raise outcome

    async def _delete_one_of_many(self, deletion: Deletion) -> Stored:
        if deletion.request.dry_run:
            return await self._delete(deletion, self._collection_trials)
        # Where each comes by itself, too, with those of others.
        together = _is_written_together(deletion.request)
        return await self._delete(deletion, self._deletes if together else self._collection_deletes)

    async def _delete(self, deletion: Deletion, batches: Batches[Deletion, Stored | Fault] | None) -> Stored:
        return await self._tried(lambda: self._deleted(deletion, batches), deletion.request, tries=_PATCH_TRIES)

    async def _deleted(self, deletion: Deletion, batches: Batches[Deletion, Stored | Fault] | None) -> Stored:
        if batches is not None:
            with suppress(Overtaken):
                return _settled(await batches(deletion))
        return _settled(*await self._delete_batch([Part(deletion)], dry_run=deletion.request.dry_run))

    async def _delete_batch(
        self, parts: Sequence[Part[Deletion]], *, dry_run: bool = False
    ) -> Sequence[Stored | Fault]:
        return await self._database.run(lambda unit: self._transactions.delete_all(unit, parts), dry_run=dry_run)

    async def _prepared(self, mutation: PreparedMutation, work: Callable[[], Awaitable[Stored]]) -> Stored:
        for _ in range(_PREPARATIONS):
            try:
                return await work()
            except NotPrepared as needed:
                await mutation.prepare(needed.document)
        raise Conflict("the object is being changed by others too often for this change to succeed; try again")

    async def _run(self, work: Work[Stored], request: WriteRequest, *, tries: int) -> Stored:
        return await self._tried(lambda: self._database.run(work, dry_run=request.dry_run), request, tries=tries)

    async def _tried(self, work: Callable[[], Awaitable[Stored]], request: WriteRequest, *, tries: int) -> Stored:
        for left in range(tries - 1, -1, -1):
            try:
                stored = await work()
            except Outdated:
                raise
            except Conflict:
                if not left:
                    raise
            else:
                self._on_write(request)
                return stored
        raise AssertionError("the last try returns or raises")


def _is_written_together(request: WriteRequest) -> bool:
    return request.kind in _WRITTEN_TOGETHER and not request.dry_run


def _settled(outcome: Stored | Exception) -> Stored:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
