"""Rules for ServiceInstance. The reference's lock while an operation runs is left out on purpose.

The provisioner takes up a newer specification when the running operation has ended.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, RETRY
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec, UserInfo
from chandlery.model.objects.wire import wire_name
from chandlery.model.text.value_labels import referenced_values, with_value_labels
from chandlery_gateway.admission.class_and_plan import (
    CLASS_FIELDS,
    class_and_plan_problems,
    plan_changed,
    with_plan_alias,
)
from chandlery_gateway.admission.field_checks import (
    counter_problems,
    external_id_problems,
    forbidden,
    parameters_from_problems,
    version_problems,
)
from chandlery_gateway.admission.kind_rules import (
    KindRules,
    NewId,
    SecretReference,
    parameter_secrets,
    specs_differ,
)
from chandlery_gateway.admission.status_admission import operation_status_problems

_CLUSTER_REFS: Final = ("cluster_service_class_ref", "cluster_service_plan_ref")
_NAMESPACED_REFS: Final = ("service_class_ref", "service_plan_ref")
_PLAN_REFS: Final = ("cluster_service_plan_ref", "service_plan_ref")
_REFS: Final = (*_CLUSTER_REFS, *_NAMESPACED_REFS)
_SERVER_FIELDS: Final = frozenset(wire_name(field) for field in (*_REFS, "user_info", "plan_name"))


class InstanceRules(KindRules[ServiceInstance]):
    """The rules of instances."""

    actions = (RETRY, ABANDON, FORCE_DELETE, ORPHAN_MITIGATION)
    forced_deletion = "it will be removed together with its bindings, whatever its service broker answers"
    # The alias planName is written out into the field beside it.
    server_fields = _SERVER_FIELDS

    def default_new(self, document: ServiceInstance, user: UserInfo, *, new_id: NewId) -> ServiceInstance:
        return _default_new(document, user, new_id=new_id)

    def default_changed(self, old: ServiceInstance, new: ServiceInstance, *, user: UserInfo) -> ServiceInstance:
        return _default_changed(old, new, user=user)

    def new_problems(self, document: ServiceInstance) -> Iterable[FieldProblem]:
        return _new_problems(document)

    def changed_problems(self, old: ServiceInstance, new: ServiceInstance) -> Iterable[FieldProblem]:
        return _changed_problems(old, new)

    def status_problems(self, document: ServiceInstance) -> Iterable[FieldProblem]:
        return operation_status_problems(document)

    def secrets(self, document: ServiceInstance) -> Iterable[SecretReference]:
        return parameter_secrets(document, document.spec.parameters_from or ())

    def chosen_id(self, document: ServiceInstance) -> str:
        return document.spec.external_id

    def acted_on(self, document: ServiceInstance, user: UserInfo) -> ServiceInstance:
        return document.model_copy(update={"spec": document.spec.model_copy(update={"user_info": user})})


def _default_new(instance: ServiceInstance, user: UserInfo, *, new_id: NewId) -> ServiceInstance:
    """Fills in external id and user, writes `planName` out, and wipes the references to cluster classes and plans."""
    changes: dict[str, object] = {**dict.fromkeys(_CLUSTER_REFS), "user_info": user}
    if not instance.spec.external_id:
        changes["external_id"] = new_id()
    spec = with_plan_alias(instance.spec.model_copy(update=changes))
    return instance.model_copy(update={"spec": spec})


def _default_changed(old: ServiceInstance, new: ServiceInstance, *, user: UserInfo) -> ServiceInstance:
    """Keeps what the server owns or the client left empty, lets go of the plan reference when the plan changes.

    A default plan, where the client left the plan out, has to be in `new` already.
    """
    kept: dict[str, object] = {field: getattr(old.spec, field) for field in (*_REFS, "user_info")}
    if not new.spec.external_id:
        kept["external_id"] = old.spec.external_id
    if not new.spec.update_requests:
        kept["update_requests"] = old.spec.update_requests
    spec = with_plan_alias(new.spec.model_copy(update=kept), old=old.spec)
    changes: dict[str, object] = {}
    if plan_changed(old.spec, spec):
        changes |= dict.fromkeys(_PLAN_REFS)
    if specs_differ(old.spec, spec, ignored=_SERVER_FIELDS):
        changes["user_info"] = user
    spec = spec.model_copy(update=changes) if changes else spec
    metadata = with_value_labels(new.metadata, referenced_values(spec))
    return new.model_copy(update={"metadata": metadata, "spec": spec})


def _new_problems(instance: ServiceInstance) -> Iterator[FieldProblem]:
    yield from _spec_problems(instance.spec, update_requests=0)
    yield from external_id_problems("spec.externalID", instance.spec.external_id)
    for field in _NAMESPACED_REFS:
        if getattr(instance.spec, field) is not None:
            yield forbidden(f"spec.{wire_name(field)}", "is set by the server; remove it")


def _changed_problems(old: ServiceInstance, new: ServiceInstance) -> Iterator[FieldProblem]:
    yield from _spec_problems(new.spec, update_requests=old.spec.update_requests)
    for field in (*CLASS_FIELDS, "external_id"):
        if (getattr(new.spec, field) or None) != (getattr(old.spec, field) or None):
            yield forbidden(f"spec.{wire_name(field)}", "cannot be changed; create another instance")


def _spec_problems(spec: ServiceInstanceSpec, *, update_requests: int) -> Iterator[FieldProblem]:
    yield from class_and_plan_problems(spec)
    if spec.parameters_from:
        yield from parameters_from_problems(spec.parameters_from)
    yield from counter_problems("spec.updateRequests", update_requests, spec.update_requests)
    yield from version_problems("spec.maintenanceVersion", spec.maintenance_version)
