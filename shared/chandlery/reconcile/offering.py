"""What an instance refers to: its class, its plan and their service broker, or why they cannot be found."""

from dataclasses import dataclass

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstanceSpec
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.parameters import overlaid
from chandlery.reconcile.reconcile_result import Wait


@dataclass(frozen=True)
class Offering:
    """A class, one of its plans, and the broker that offers them."""

    service_class: AnyClass
    plan: AnyPlan
    broker: AnyBroker

    @property
    def is_bindable(self) -> bool:
        """Whether instances can be bound."""
        return is_bindable(self.service_class, self.plan)

    @property
    def is_plan_updatable(self) -> bool:
        """The plan's word counts, else the class's."""
        updatable = self.plan.spec.plan_updatable
        return self.service_class.spec.plan_updatable if updatable is None else updatable


def is_bindable(service_class: AnyClass, plan: AnyPlan) -> bool:
    """The plan's word counts, else the class's (OSB v2.17, "Plan Object")."""
    return service_class.spec.bindable if plan.spec.bindable is None else plan.spec.bindable


def default_parameters(service_class: AnyClass, plan: AnyPlan) -> JsonObject:
    """The parameters that an instance of this plan begins with: the class's, and over them the plan's."""
    of_class, of_plan = service_class.spec.default_provision_parameters, plan.spec.default_provision_parameters
    return overlaid(of_class or {}, of_plan or {})


@dataclass(frozen=True)
class Unresolved:
    """A reference that leads nowhere yet."""

    reason: str
    message: str
    waiting_for: str

    @property
    def wait(self) -> Wait:
        """Wait for what it refers to."""
        return Wait(self.reason, self.message, self.waiting_for)


@dataclass(frozen=True)
class Wanted:
    """How a user calls a class or plan: `column` is one of name, external_name, external_id."""

    column: str
    value: str


def wanted_class(spec: ServiceInstanceSpec) -> Wanted:
    """The class that the specification asks for; admission has made sure that there is exactly one."""
    return _first(
        Wanted("external_name", spec.cluster_service_class_external_name or spec.service_class_external_name or ""),
        Wanted("external_id", spec.cluster_service_class_external_id or spec.service_class_external_id or ""),
        Wanted("name", spec.cluster_service_class_name or spec.service_class_name or ""),
    )


def wanted_plan(spec: ServiceInstanceSpec) -> Wanted:
    """The plan that the specification asks for; an empty value if it leaves the choice open."""
    return _first(
        Wanted("external_name", spec.cluster_service_plan_external_name or spec.service_plan_external_name or ""),
        Wanted("external_id", spec.cluster_service_plan_external_id or spec.service_plan_external_id or ""),
        Wanted("name", spec.cluster_service_plan_name or spec.service_plan_name or ""),
    )


def plan_called(plan: AnyPlan, column: str) -> str:
    """What the plan is called by those who name it in this way; see `Wanted`."""
    return plan.metadata.name if column == "name" else str(getattr(plan.spec, column))


def is_cluster_scoped(spec: ServiceInstanceSpec) -> bool:
    """Whether the class is a cluster-wide one."""
    return bool(
        spec.cluster_service_class_external_name
        or spec.cluster_service_class_external_id
        or spec.cluster_service_class_name
    )


def class_column(spec: ServiceInstanceSpec) -> str:
    """What the CLASS column shows: kind and whatever the user typed."""
    kind = "ClusterServiceClass" if is_cluster_scoped(spec) else "ServiceClass"
    return f"{kind}/{wanted_class(spec).value}"


def _first(*candidates: Wanted) -> Wanted:
    return next((candidate for candidate in candidates if candidate.value), candidates[0])
