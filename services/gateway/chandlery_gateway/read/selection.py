"""Which objects a request is about, and what a client sees of each."""

from dataclasses import dataclass

from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.policies.label_selectors import Selector
from chandlery.store.objects.object_reads import Listing
from chandlery.store.rows import plain_form
from chandlery.store.schema import LOOKUPS
from chandlery_gateway.identity.authorization import Reach, namespace_asked
from chandlery_gateway.kube.apply.managed_fields import managed_fields_wire
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT, as_regarding, regarding_path
from chandlery_gateway.kube.query.selectors import field_values

_FIXED_FIELDS = frozenset({"metadata.name", "metadata.namespace"})

_MOST_LABELS = 32


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Objects of a kind."""

    kind: Kind
    namespace: str | None
    """None means all namespaces."""
    labels: Selector
    fields: Selector
    reach: Reach
    """What its user may `get`. Nothing else is one of them: a list shows objects as whole as a `get` does."""

    @property
    def is_narrow(self) -> bool:
        """Whether there may be objects that are none of them."""
        return bool(self.labels.requirements or self.fields.requirements or not self.reach.is_everything)

    def shows(self, namespace: str, name: str) -> bool:
        """Whether its user may get the object of this name."""
        return self.reach.is_everything or self.reach.has(namespace_asked(self.kind, namespace, name), name)

    @property
    def can_objects_enter(self) -> bool:
        """Whether a change can make an object match that did not before, or the other way round."""
        return bool(self.labels.requirements) or not _FIXED_FIELDS.issuperset(self.fields.keys)

    def matches(self, wire: JsonObject) -> bool:
        """Whether the object is one of them; the namespace is checked by whoever lists."""
        metadata = wire["metadata"]
        if not self.shows(metadata.get("namespace", ""), metadata["name"]):
            return False
        if self.fields.requirements and not self.fields.matches(field_values(self.kind, wire, self.fields.keys)):
            return False
        return not self.labels.requirements or self.labels.matches(metadata.get("labels") or {})

    def listing(self, after: tuple[str, str] | None, size: int | None) -> Listing:
        """What the database can do of it; `matches` still decides."""
        columns = {path: column for column, paths in LOOKUPS.get(self.kind.kind, {}).items() for path in paths}
        if self.kind == REGARDING_EVENT:
            columns = {regarding_path(path): column for path, column in columns.items()}
        columns["metadata.name"] = "name"
        namespace = self.namespace
        where = []
        for field, value in self.fields.required_equalities().items():
            if field == "metadata.namespace" and namespace is None:
                namespace = value
            elif field in columns and value and "\0" not in value:
                where.append((columns[field], value))
        # The rest is looked at here: a long selector would be a statement that no database takes.
        labels = tuple(self.labels.required_equalities().items())[:_MOST_LABELS]
        return Listing(namespace=namespace, where=tuple(where), labels=labels, after=after, limit=size)


def to_client(kind: Kind, document: AnyObject) -> JsonObject:
    """The object as clients see it, with its own address."""
    return shown(kind, plain_form(document))


def shown(kind: Kind, plain: JsonObject) -> JsonObject:
    """The same of an object that is in wire form already (`plain_form`), which becomes it."""
    metadata = plain["metadata"]
    managed = metadata.get("managedFields")
    if managed is not None:
        metadata["managedFields"] = managed_fields_wire(managed)
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{metadata.get('namespace')}" if kind.namespaced else ""
    metadata["selfLink"] = f"{root}{place}/{kind.plural}/{metadata['name']}"
    return as_regarding(plain) if kind == REGARDING_EVENT else plain
