"""The read side of the API: one object, or a page of a list with everything a watch needs to go on from it."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from chandlery.model.faults import BadRequest, NotFound
from chandlery.model.kinds import AnyObject, Kind
from chandlery.model.wire import JsonObject
from chandlery.reconcile.label_selectors import Selector
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects import Listing
from chandlery.store.schema import LOOKUPS
from chandlery_gateway.kube.managed_fields import managed_fields_wire
from chandlery_gateway.kube.regarding_events import REGARDING_EVENT, as_regarding, regarding_path
from chandlery_gateway.kube.selectors import field_values

_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which objects of a kind a request is about."""

    kind: Kind
    namespace: str | None
    """None means all namespaces."""
    labels: Selector
    fields: Selector

    def matches(self, document: AnyObject, wire: JsonObject) -> bool:
        """Whether the object is one of them; the namespace is checked by whoever lists."""
        if self.fields.requirements and not self.fields.matches(field_values(self.kind, wire, self.fields.keys)):
            return False
        return not self.labels.requirements or self.labels.matches(document.metadata.labels or {})


@dataclass(frozen=True)
class _Mark:
    """Where the next page of a list goes on, and the version of its first page."""

    version: int
    namespace: str
    name: str


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: Sequence[JsonObject]
    resource_version: str
    continue_token: str | None = None


class Readings:
    """Reads objects in the form that clients see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        """One object; raises NotFound."""
        found = await self._database.run(lambda unit: unit.objects.get(kind, namespace, name))
        if found is None:
            raise NotFound
        return to_client(kind, found)

    async def list(self, selection: Selection, *, limit: int, token: str) -> Page:
        """A page of at most `limit` objects (0: all); raises BadRequest for a token that is not ours."""
        mark = _read_token(token) if token else None
        # The horizon first: what the list then shows is at least as new, so a watch from there on misses nothing. Later
        # pages keep the version of the first, for a watch has to tell what has changed on that one since.
        version = mark.version if mark else await self._database.run(_newest)
        after = (mark.namespace, mark.name) if mark else None
        is_filtered = selection.labels.requirements or selection.fields.requirements
        # One more than asked for, to know whether there is another page.
        size = min(limit, _PAGE) + 1 if limit and not is_filtered else _PAGE
        items: list[JsonObject] = []
        while True:
            batch = await self._read(selection.kind, _listing(selection, after, size))
            for document in batch:
                wire = to_client(selection.kind, document)
                if not selection.matches(document, wire):
                    continue
                if limit and len(items) == limit:
                    return Page(items, str(version), _token(version, items[-1]))
                items.append(wire)
            if len(batch) < size:
                return Page(items, str(version))
            after = (batch[-1].metadata.namespace or "", batch[-1].metadata.name)

    async def _read(self, kind: Kind, listing: Listing) -> Sequence[AnyObject]:
        # A transaction for each part: a long list must not keep a connection, on SQLite the only one, from everybody.
        return await self._database.run(lambda unit: unit.objects.list(kind, listing))

    async def newest_possible(self) -> int:
        """A version that nothing which can be read by now is beyond."""
        return await self._database.run(lambda unit: unit.changes.next_position(), dry_run=True) - 1


async def _newest(unit: UnitOfWork) -> int:
    return await unit.changes.horizon() - 1


def to_client(kind: Kind, document: AnyObject) -> JsonObject:
    """The object as clients see it, with its own address."""
    wire = document.to_wire()
    meta = document.metadata
    if meta.managed_fields is not None:
        wire["metadata"]["managedFields"] = managed_fields_wire(meta.managed_fields)
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{meta.namespace}" if kind.namespaced else ""
    wire["metadata"]["selfLink"] = f"{root}{place}/{kind.plural}/{meta.name}"
    return as_regarding(wire) if kind == REGARDING_EVENT else wire


def _listing(selection: Selection, after: tuple[str, str] | None, size: int) -> Listing:
    columns = {path: column for column, paths in LOOKUPS.get(selection.kind.kind, {}).items() for path in paths}
    if selection.kind == REGARDING_EVENT:
        columns = {regarding_path(path): column for path, column in columns.items()}
    columns["metadata.name"] = "name"
    namespace = selection.namespace
    where = []
    for field, value in selection.fields.required_equalities().items():
        if field == "metadata.namespace" and namespace is None:
            namespace = value
        elif field in columns and value and "\0" not in value:
            where.append((columns[field], value))
    labels = tuple(selection.labels.required_equalities().items())
    return Listing(namespace=namespace, where=tuple(where), labels=labels, after=after, limit=size)


def _token(version: int, last: JsonObject) -> str:
    meta = last["metadata"]
    return base64.urlsafe_b64encode(to_json([version, meta.get("namespace", ""), meta["name"]])).decode()


def _read_token(text: str) -> _Mark:
    try:
        decoded = from_json(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error):
        decoded = None
    match decoded:
        case [int(version), str(namespace), str(name)] if "\0" not in namespace + name:
            return _Mark(version, namespace, name)
    raise BadRequest("the continue token is not one of this server; list again without it")
