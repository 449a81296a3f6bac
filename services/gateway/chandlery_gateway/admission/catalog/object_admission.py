"""Admission of objects, in one place: what a create, a change, a status write or a delete has to pass to be stored.

`object_writer` asks `prepare` before it opens a transaction, for that needs nothing but the object: defaults, and what
is wrong with it. `write_transactions` asks the rest with the unit of work at hand, and stores what comes back. Names
are generated and namespaces set before; uids, versions and times are the store's matter.

Each kind has one entry in the table `_entries`: its rules, and what these look up. An object of a kind without an entry
is refused.

Comes in: an object, the one before it, who asks. Goes out: the object to be stored, or `Invalid` with every field that
is wrong. Called by: `object_writer` and `write_transactions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from chandlery.model.faults import BadRequest, Fault, FieldProblem, Forbidden, Invalid, NamespaceNotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.policies.broker_policy import AS_SHORT_AS_ASKED, ShortestPauses
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.access.granted_rights import Grant
from chandlery_gateway.admission.access.role_admission import ClusterRoleRules, RoleRules
from chandlery_gateway.admission.access.role_binding_admission import RoleBindingRules, ServiceAccountRules
from chandlery_gateway.admission.binding_admission import BindingRules
from chandlery_gateway.admission.brokers.broker_address_admission import (
    EXPECTED_PLACES,
    BrokerPlaces,
    NamedPlace,
    named_places,
)
from chandlery_gateway.admission.brokers.broker_admission import BrokerRules
from chandlery_gateway.admission.catalog.binding_catalog_rules import BindingCatalogRules
from chandlery_gateway.admission.catalog.catalog_rules import (
    BrokerCatalogRules,
    CatalogRules,
    ClusterRoleCatalogRules,
    Routed,
)
from chandlery_gateway.admission.catalog.instance_catalog_rules import InstanceCatalogRules
from chandlery_gateway.admission.core_admission import EventRules, NamespaceRules, SecretRules
from chandlery_gateway.admission.field_checks import nul_problems
from chandlery_gateway.admission.instance_admission import InstanceRules
from chandlery_gateway.admission.kind_rules import KindRules, NewId, SecretReference
from chandlery_gateway.admission.metadata_admission import metadata_change_problems, metadata_problems, server_owned
from chandlery_gateway.admission.offering_admission import OfferingRules
from chandlery_gateway.admission.requested_action_admission import action_problems, actions_changed, parting_warnings


@dataclass(frozen=True)
class Entry:
    """What admission knows of one kind."""

    rules: KindRules[Any]
    catalog: CatalogRules[Any]


def _entries(shortest: ShortestPauses, places: BrokerPlaces) -> dict[str, Entry]:
    brokers = Entry(BrokerRules(shortest, places), BrokerCatalogRules())
    offerings = Entry(OfferingRules(), CatalogRules())
    role_bindings = Entry(RoleBindingRules(), CatalogRules())
    return {
        kinds.CLUSTER_SERVICE_BROKER.kind: brokers,
        kinds.SERVICE_BROKER.kind: brokers,
        kinds.CLUSTER_SERVICE_CLASS.kind: offerings,
        kinds.SERVICE_CLASS.kind: offerings,
        kinds.CLUSTER_SERVICE_PLAN.kind: offerings,
        kinds.SERVICE_PLAN.kind: offerings,
        kinds.SERVICE_INSTANCE.kind: Entry(InstanceRules(), InstanceCatalogRules()),
        kinds.SERVICE_BINDING.kind: Entry(BindingRules(), BindingCatalogRules()),
        kinds.NAMESPACE.kind: Entry(NamespaceRules(), CatalogRules()),
        kinds.SECRET.kind: Entry(SecretRules(), CatalogRules()),
        kinds.EVENT.kind: Entry(EventRules(), CatalogRules()),
        kinds.SERVICE_ACCOUNT.kind: Entry(ServiceAccountRules(), CatalogRules()),
        kinds.ROLE.kind: Entry(RoleRules(), CatalogRules()),
        kinds.CLUSTER_ROLE.kind: Entry(ClusterRoleRules(), ClusterRoleCatalogRules()),
        kinds.ROLE_BINDING.kind: role_bindings,
        kinds.CLUSTER_ROLE_BINDING.kind: role_bindings,
    }


_RIGHTS: Final = frozenset({kinds.ROLE.kind, kinds.ROLE_BINDING.kind, kinds.SERVICE_ACCOUNT.kind})
"""What must not be left over of a namespace that goes: it would count in the next one of the name, whosever that is."""


class AccessUndecided(Fault):
    """Whether the user may read these Secrets, or hand this out, has not been asked yet.

    Never gets out of the write side.
    """

    def __init__(self, references: frozenset[SecretReference], grant: Grant | None = None) -> None:
        self.references = references
        self.grant = grant
        super().__init__()


class NamesUnknown(Fault):
    """What the names of a broker are resolved to has not been looked at yet. Never gets out of the write side."""

    def __init__(self, named: frozenset[NamedPlace]) -> None:
        self.named = named
        super().__init__()


@dataclass(frozen=True)
class NewObject:
    """A new object that its own rules let in, and what the authorizer has to be asked about it."""

    document: AnyObject
    warnings: tuple[str, ...]
    secrets: frozenset[SecretReference]
    grant: Grant | None
    """What it hands out to others, if it is a role or a binding."""
    chosen_id: str
    """The id at the service broker that the user has chosen, if any."""


@dataclass(frozen=True)
class AdmittedChange:
    """A changed object as it may be stored, and what has changed."""

    document: AnyObject
    warnings: tuple[str, ...]
    spec_changed: bool
    actions_changed: bool


def new_id() -> str:
    """A random id."""
    return str(uuid4())


class ObjectAdmission:
    """The rules of all kinds."""

    def __init__(
        self,
        shortest: ShortestPauses = AS_SHORT_AS_ASKED,
        places: BrokerPlaces = EXPECTED_PLACES,
        *,
        stores_namespaces: bool = True,
    ) -> None:
        """`shortest` are the pauses between calls to a broker that this platform allows, `places` where they are.

        Namespaces that are not stored here are somebody else's to look at, before there is a transaction.
        """
        self._places = places
        self._stores_namespaces = stores_namespaces
        self._entries: Mapping[str, Entry] = _entries(shortest, places)

    def entry_of(self, document: AnyObject) -> Entry:
        """Raises BadRequest for an object of a kind that has none."""
        entry = self._entries.get(document.kind)
        if entry is None:
            raise BadRequest(
                f'Objects of the kind "{document.kind}" cannot be stored: there are no rules of admission for them'
            )
        return entry

    def named_places(self, document: AnyObject, *, old: AnyObject | None = None) -> frozenset[NamedPlace]:
        """Names that have to be looked up before the object is stored."""
        return named_places(document, self._places, old=old)

    def prepare(self, document: AnyObject, user: UserInfo) -> NewObject:
        """A new object with its defaults. Raises Invalid."""
        rules = self.entry_of(document).rules
        new = self.default_on_create(document, user)
        _refuse((*self.problems_on_create(new), *nul_problems(new)))
        secrets = frozenset(rules.secrets(new))
        warnings, grant = rules.new_warnings(new), rules.grant(new)
        return NewObject(new, warnings, secrets, grant, chosen_id=rules.chosen_id(document))

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[AnyObject]) -> None:
        """Read in a few statements what `admit_create` is about to look up for each of these."""
        of_kinds: dict[str, list[AnyObject]] = {}
        for document in documents:
            of_kinds.setdefault(document.kind, []).append(document)
        for some in of_kinds.values():
            await self.entry_of(some[0]).catalog.prefetch(unit, some)

    async def admit_create(self, unit: UnitOfWork, document: AnyObject) -> Routed[AnyObject]:
        """What was prepared, completed from the catalog, with its lane. Raises Invalid, NotFound, Forbidden."""
        if self._stores_namespaces:
            await _check_namespace(unit, document)
        return await self.entry_of(document).catalog.admit_new(unit, document)

    async def admit_update(
        self,
        unit: UnitOfWork,
        old: AnyObject,
        sent: AnyObject,
        *,
        user: UserInfo,
        readable: frozenset[SecretReference],
        grantable: Grant | None = None,
    ) -> AdmittedChange:
        """The object as it may be stored of what the client `sent`.

        `readable` are the Secrets of which the authorizer has said that the user may read them, `grantable` is what it
        has said that they may hand out.

        Raises:
            Invalid: the object, or the change, is against the rules.
            AccessUndecided: other Secrets would be sent to a service broker, or something else handed out.
        """
        entry = self.entry_of(old)
        warnings = entry.rules.changed_warnings(old, sent)
        await unit.breaths.take()
        new = server_owned(old, self.default_on_update(old, sent, user=user))
        await unit.breaths.take()
        _refuse((*self.problems_on_update(old, new), *nul_problems(new)))
        await unit.breaths.take()
        # Where Secrets are sent counts like which: all of them are asked for if anything of the specification changes.
        spec_changed = entry.rules.spec_changed(old, new)
        unasked = frozenset(entry.rules.secrets(new) if spec_changed else ()) - readable
        grant = entry.rules.changed_grant(old, new)
        if unasked or grant not in (None, grantable):
            raise AccessUndecided(unasked, grant)
        completed = await entry.catalog.complete_changed(unit, new)
        if completed is not new:
            # Again, for the defaults of an update depend on whether the plan is another one.
            new = server_owned(old, self.default_on_update(old, completed, user=user))
            spec_changed = entry.rules.spec_changed(old, new)
        await entry.catalog.check_changed(unit, old, new)
        acts = entry.rules.actions is not None and actions_changed(old, new)
        if acts and new.metadata.deletion_timestamp is not None and new.metadata.finalizers:
            warnings = (*warnings, *self.parting_warnings(new))
        return AdmittedChange(new, warnings, spec_changed, acts)

    def admit_status(self, old: AnyObject, sent: AnyObject) -> AnyObject:
        """The object with the status, and the managed fields, of what was sent. Raises Invalid."""
        metadata = old.metadata.model_copy(update={"managed_fields": sent.metadata.managed_fields})
        new = old.model_copy(update={"status": getattr(sent, "status", None), "metadata": metadata})
        _refuse(self.problems_on_status_update(new, old=old))
        return new

    def admit_delete(self, document: AnyObject) -> None:
        """Raises Forbidden if nobody may delete the object."""
        if problem := self.entry_of(document).rules.deletion_problem(document):
            raise Forbidden(problem)

    def parting_warnings(self, document: AnyObject) -> tuple[str, ...]:
        """What people should know of an object that is on its way out."""
        rules = self.entry_of(document).rules
        return parting_warnings(document, known=rules.actions or (), forced_deletion=rules.forced_deletion)

    def default_on_create(self, document: AnyObject, user: UserInfo, *, new_id: NewId = new_id) -> AnyObject:
        """The object as it is to be stored: fresh status, finalizer, defaults."""
        rules = self.entry_of(document).rules
        fresh: AnyObject = rules.default_new(_without_status(document), user, new_id=new_id)
        return fresh

    def problems_on_create(self, document: AnyObject) -> Sequence[FieldProblem]:
        """Everything that keeps the new object, defaults filled in, from being stored."""
        rules = self.entry_of(document).rules
        metadata = metadata_problems(document.metadata, name_problem=rules.name_problem)
        annotations = (*_action_problems(rules, document), *_annotation_problems(rules, document))
        return (*metadata, *annotations, *rules.new_problems(document))

    def default_on_update(self, old: AnyObject, new: AnyObject, *, user: UserInfo) -> AnyObject:
        """The object as it is to be stored: what the server owns or the client left empty is as it was, as the status.

        Raises:
            TypeError: the two are of different kinds.
        """
        if old.kind != new.kind:
            raise TypeError(f"{old.kind} cannot become {new.kind}")
        if hasattr(old, "status"):
            new = new.model_copy(update={"status": old.status})
        changed: AnyObject = self.entry_of(old).rules.default_changed(old, new, user=user)
        return changed

    def problems_on_update(self, old: AnyObject, new: AnyObject) -> Sequence[FieldProblem]:
        """Everything that keeps the changed object, defaults filled in, from being stored."""
        rules = self.entry_of(old).rules
        problems = (
            *metadata_problems(new.metadata, name_problem=rules.name_problem),
            *metadata_change_problems(old.metadata, new.metadata),
            *_action_problems(rules, new, old=old),
            *_annotation_problems(rules, new, old=old),
        )
        if hasattr(new, "spec") and new.spec == getattr(old, "spec", None):
            # Whatever older rules let in: nobody may be kept from annotating an object, or from letting it go.
            return problems
        return (*problems, *rules.changed_problems(old, new))

    def problems_on_status_update(self, document: AnyObject, *, old: AnyObject | None = None) -> Sequence[FieldProblem]:
        """What contradicts itself in a status that a client wrote; the object's other parts are as stored in `old`.

        What the old status had already is not complained of: workers go by rules of their own.
        """
        rules = self.entry_of(document).rules
        before = {(problem.field, problem.reason) for problem in rules.status_problems(old)} if old is not None else ()
        return tuple(each for each in rules.status_problems(document) if (each.field, each.reason) not in before)


def _refuse(problems: Sequence[FieldProblem]) -> None:
    if problems:
        raise Invalid(problems=tuple(problems))


def _action_problems(
    rules: KindRules[Any], document: AnyObject, *, old: AnyObject | None = None
) -> Sequence[FieldProblem]:
    if rules.actions is None or not document.metadata.annotations:
        return ()
    return tuple(action_problems(document, rules.actions, old=old))


def _annotation_problems(
    rules: KindRules[Any], document: AnyObject, *, old: AnyObject | None = None
) -> Sequence[FieldProblem]:
    if not document.metadata.annotations or (old and old.metadata.annotations == document.metadata.annotations):
        return ()
    return tuple(rules.annotation_problems(document))


def _without_status(document: AnyObject) -> AnyObject:
    kind = kind_of(document)
    changes: dict[str, object] = {}
    if kind.has_status:
        changes["status"] = kind.model.model_fields["status"].default
    if kind.has_finalizer:
        changes["metadata"] = document.metadata.model_copy(update={"finalizers": [FINALIZER]})
    return document.model_copy(update=changes) if changes else document


async def _namespace_called(unit: UnitOfWork, name: str, *, is_held: bool) -> AnyObject | None:
    """The namespace; `is_held` keeps others from marking it deleted before this transaction ends."""
    if is_held:
        return await unit.objects.get(kinds.NAMESPACE, "", name, lock=True)
    return await unit.objects.get_cached(kinds.NAMESPACE, "", name)


async def _check_namespace(unit: UnitOfWork, document: AnyObject) -> None:
    """Objects live in namespaces that exist and are to stay."""
    name = document.metadata.namespace
    if not name or not kind_of(document).namespaced:
        return
    namespace = await _namespace_called(unit, name, is_held=document.kind in _RIGHTS)
    if namespace is None:
        message = f'namespaces "{name}" not found; create it with: kubectl create namespace {name}'
        raise NamespaceNotFound(name, message)
    if namespace.metadata.deletion_timestamp is not None:
        raise Forbidden(f"unable to create new content in namespace {name} because it is being terminated")
