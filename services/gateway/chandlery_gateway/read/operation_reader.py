"""Reads the operation history for those who may list it: one operation, or pages of what is selected, newest first.

A namespace's newest, an object's newest and those of a uid stand together in an index; the other selectors are looked
at on the way. A list without a limit is a page of 500, and goes on with its token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from chandlery.model.faults import BadRequest, NotFound
from chandlery.model.history.stored_operation import StoredOperation
from chandlery.model.objects.kinds import Kind
from chandlery.platform.protocol import NamespaceGate
from chandlery.reconcile.policies.label_selectors import Operator, Selector
from chandlery.store.database import Database
from chandlery.store.history.stored_operations import OperationFilter
from chandlery_gateway.identity.authorization import Reach
from chandlery_gateway.kube.kinds.operation_kinds import ABOUT, BINDING_OPERATION, as_object
from chandlery_gateway.read.continue_tokens import PURPOSE, ContinueToken, ContinueTokens
from chandlery_gateway.read.object_reader import Page
from chandlery_gateway.read.since_selector import SINCE, given_twice, moment_of

_PAGE: Final = 500
_MOST_LOOKS: Final = 10
"""At so many pages for one, where its user may not get most of what is there."""
_COLUMNS: Final[Mapping[str, str]] = {
    "metadata.name": "name",
    "metadata.namespace": "namespace",
    "instanceRef.name": "instance_name",
    "operation": "operation",
    "outcome": "outcome",
    "reason": "reason",
    "requestedBy": "requested_by",
    "broker": "broker",
    "externalID": "external_id",
    "traceID": "trace_id",
}
_OF_INSTANCE: Final = {"instanceRef.name": "object_name", "instanceRef.uid": "object_uid"}
_OF_BINDING: Final = {"bindingRef.name": "object_name", "bindingRef.uid": "object_uid"}


class OperationReader:
    """Reads the operation history."""

    def __init__(self, database: Database, *, namespaces: NamespaceGate | None = None) -> None:
        """`namespaces` are those of a cluster: what is older than one happened to others, in one of the same name.

        Standalone the history of a namespace goes with it.
        """
        self._database = database
        self._namespaces = namespaces
        self._tokens = ContinueTokens(database.keyring.derived(PURPOSE))

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """One operation; raises NotFound."""
        found = await self._database.run(lambda unit: unit.operations.get(ABOUT[kind.kind], namespace, name))
        begun = await self._begun(namespace)
        if found is None or (begun is not None and found.started_at < begun):
            raise NotFound
        return as_object(kind, found)

    async def list(self, asked: "OperationList") -> Page:
        """A page of operations, the newest first, of those within reach.

        Raises BadRequest for a selector that makes no sense or a token of another list, Expired for one too old.
        """
        wanted = asked.filter(self._database.clock())
        if begun := await self._begun(asked.namespace or ""):
            wanted = replace(wanted, since=max(begun, wanted.since or begun))
        before = self._tokens.read(asked.token, of=asked.text).name if asked.token else ""
        most = min(asked.limit, _PAGE) if asked.limit else _PAGE
        items: list[dict[str, Any]] = []
        for _ in range(_MOST_LOOKS):
            found = await self._find(replace(wanted, before=before), limit=most + 1)
            for each in found[:most]:
                before = each.name
                if asked.reach.has(each.namespace, each.name):
                    items.append(as_object(asked.kind, each))
                if len(items) == most:
                    break
            if not found or before == found[-1].name:
                return Page(items, "")
            if len(items) == most:
                break
        return Page(items, "", self._tokens.write(ContinueToken(asked.text, "", before, None)))

    async def _begun(self, namespace: str) -> datetime | None:
        if self._namespaces is None or not namespace:
            return None
        return await self._namespaces.begun_at(namespace)

    async def _find(self, wanted: OperationFilter, *, limit: int) -> Sequence[StoredOperation]:
        return await self._database.run(lambda unit: unit.operations.find(wanted, limit=limit))


@dataclass(frozen=True, kw_only=True)
class OperationList:
    """What a request wants listed."""

    kind: Kind
    namespace: str | None
    """None means all of them."""
    selector: Selector
    selector_text: str
    reach: Reach
    limit: int = 0
    token: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """Tells this list from others; its tokens are of no use elsewhere."""
        return f"{self.kind.plural}/{self.namespace or ''}?{self.selector_text}"

    def filter(self, now: datetime) -> OperationFilter:
        """Which operations are meant. Raises BadRequest."""
        columns = {**_COLUMNS, **(_OF_BINDING if self.kind == BINDING_OPERATION else _OF_INSTANCE)}
        where: list[tuple[str, str]] = []
        where_not: list[tuple[str, str]] = []
        since = None
        for requirement in self.selector.requirements:
            [value] = requirement.values
            is_equality = requirement.operator is Operator.EQUALS
            if requirement.key != SINCE:
                # PostgreSQL would refuse to look for a NUL; nothing that is stored has one.
                pair = (columns[requirement.key], value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
                (where if is_equality else where_not).append(pair)
                continue
            if not is_equality:
                raise BadRequest(f"field label {SINCE}: only = is supported")
            if since is not None:
                raise given_twice(SINCE)
            since = moment_of(value, now)
        return OperationFilter(
            kind=ABOUT[self.kind.kind],
            namespace=self.namespace,
            where=tuple(where),
            where_not=tuple(where_not),
            since=since,
        )
