"""Stores wishes: each create, update or delete is one transaction that holds the object, its command and its change.

Called by the routes with decoded objects; answers the object as stored. Faults are for `status_objects` to render.
"""

from collections.abc import Awaitable, Callable, Sequence

from chandlery.engine.batches import Batches
from chandlery.model.faults import Conflict, Invalid
from chandlery.model.objects.kinds import AnyObject
from chandlery.process.aside import aside_if
from chandlery.reconcile.policies.broker_policy import AS_SHORT_AS_ASKED, ShortestPauses
from chandlery.store.database import Database, UnitOfWork, Work
from chandlery.store.objects.external_ids import ExternalIdTaken
from chandlery_gateway.admission import rules
from chandlery_gateway.admission.brokers.broker_policy_admission import pause_problems
from chandlery_gateway.admission.secrets.secret_references import secret_references
from chandlery_gateway.identity.authorization import Authorizer
from chandlery_gateway.write import write_transactions as transactions
from chandlery_gateway.write.adoption import require_adoption, taken
from chandlery_gateway.write.costly_mutations import NotPrepared, PreparedMutation, is_large, prepared_change
from chandlery_gateway.write.secret_access import AccessOpen, with_access
from chandlery_gateway.write.write_requests import Mutation, Outdated, Preconditions, Request, Stored, named, unstorable

_BATCH = 32
_PATCH_TRIES = 10
_PREPARATIONS = 10


class ObjectWriter:
    """The write side of the API."""

    def __init__(
        self,
        database: Database,
        *,
        on_write: Callable[[], None],
        authorizer: Authorizer,
        shortest: ShortestPauses = AS_SHORT_AS_ASKED,
    ) -> None:
        """`on_write` is called after each commit, to wake this process's watchers."""
        self._database = database
        self._shortest = shortest
        self._authorizer = authorizer
        self._on_write = on_write
        # Creates that arrive together share a transaction: under load the database commits far less often.
        self._inserts = Batches(self._insert_batch, limit=_BATCH)

    async def create(self, request: Request, document: AnyObject) -> Stored:
        """Store a new object.

        Raises Invalid, AlreadyExists, NotFound (namespace), Forbidden (also for its Secrets and its external id).
        """
        wished = named(request, document)
        try:
            return await self._create(request, wished)
        except Invalid as fault:
            # A generated name stands in no request: as kube-apiserver says it, for whoever reads the problems.
            fault.name = fault.name or wished.metadata.name
            raise

    async def _create(self, request: Request, wished: AnyObject) -> Stored:
        admitted = await aside_if(is_large(wished), lambda: _admitted(request, wished, self._shortest))
        await require_adoption(self._authorizer, request, wished)
        await with_access(self._authorizer, request, secret_references(admitted))
        try:
            stored = await self._insert(request, admitted)
        except ExternalIdTaken:
            raise taken(admitted) from None
        self._on_write()
        return Stored(stored, rules.warnings_on_create(admitted))

    async def _insert(self, request: Request, admitted: AnyObject) -> AnyObject:
        if request.dry_run:
            return await self._database.run(lambda unit: transactions.insert(unit, admitted), dry_run=True)
        return await self._inserts(admitted)

    async def change(self, request: Request, change: Mutation, *, tries: int = 1) -> Stored:
        """Change a stored object. A lost race is tried again if the caller allows; else it raises Conflict."""
        prepared = prepared_change(change)
        while True:
            try:
                return await self._change(request, prepared, tries=tries)
            except AccessOpen as fault:
                request = await with_access(self._authorizer, request, fault.references)

    async def _change(self, request: Request, change: PreparedMutation, *, tries: int) -> Stored:
        def update(unit: UnitOfWork) -> Awaitable[Stored]:
            return transactions.update(unit, request, change, shortest=self._shortest)

        return await self._prepared(change, lambda: self._run(update, request, tries=tries))

    async def _prepared(self, change: PreparedMutation, work: Callable[[], Awaitable[Stored]]) -> Stored:
        for _ in range(_PREPARATIONS):
            try:
                return await work()
            except NotPrepared as needed:
                await change.prepare(needed.document)
        raise Conflict("the object is changed by others faster than this change can be made; try again")

    async def patch(self, request: Request, change: Mutation) -> Stored:
        """Change a stored object by a patch, which applies to whatever is stored now."""
        return await self.change(request, change, tries=_PATCH_TRIES)

    async def delete(self, request: Request, preconditions: Preconditions, *, policy: str | None = None) -> Stored:
        """Remove the object, or mark it so that its worker lets it go. Raises NotFound, Conflict, Forbidden."""
        return await self._run(
            lambda unit: transactions.delete(unit, request, preconditions, policy=policy), request, tries=_PATCH_TRIES
        )

    async def change_status(self, request: Request, change: Mutation, *, tries: int = 1) -> Stored:
        """Change the status alone; everything else of what the client sent is passed over."""
        prepared = prepared_change(change)
        return await self._prepared(
            prepared,
            lambda: self._run(lambda unit: transactions.write_status(unit, request, prepared), request, tries=tries),
        )

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
            return [await transactions.insert(unit, document) for document in admitted]

        return await self._database.run(insert)


def _admitted(request: Request, wished: AnyObject, shortest: ShortestPauses) -> AnyObject:
    admitted = rules.default_on_create(wished, request.user, new_id=transactions.new_id)
    problems = (*rules.problems_on_create(admitted), *pause_problems(admitted, shortest))
    transactions.refuse((*problems, *unstorable(admitted)))
    return admitted
