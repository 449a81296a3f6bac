"""How an instance names its class and plan: three ways in each of two scopes, and the alias `planName`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import ServiceInstanceSpec
from chandlery.model.objects.wire import wire_name
from chandlery_gateway.admission.field_checks import forbidden, invalid, length_problems, required


@dataclass(frozen=True, slots=True)
class Way:
    """One way to name a class, and the plan field that goes with it; both are Python names of specification fields."""

    class_field: str
    plan_field: str
    is_cluster: bool
    by_external_name: bool


WAYS: Final = tuple(
    Way(f"{scope}_class_{flavour}", f"{scope}_plan_{flavour}", scope == "cluster_service", flavour == "external_name")
    for scope in ("cluster_service", "service")
    for flavour in ("external_name", "external_id", "name")
)
CLASS_FIELDS: Final = tuple(way.class_field for way in WAYS)
PLAN_FIELDS: Final = tuple(way.plan_field for way in WAYS)
_NAMING_FIELDS: Final = {field: f"spec.{wire_name(field)}" for field in (*CLASS_FIELDS, *PLAN_FIELDS, "plan_name")}


def _value(spec: ServiceInstanceSpec, field: str) -> str | None:
    """The value, where the empty string is as good as none."""
    value: str | None = getattr(spec, field)
    return value or None


def way_of(spec: ServiceInstanceSpec) -> Way | None:
    """How the class is named; None if it is not, or in several ways."""
    ways = [way for way in WAYS if _value(spec, way.class_field)]
    return ways[0] if len(ways) == 1 else None


def plan_changed(old: ServiceInstanceSpec, new: ServiceInstanceSpec) -> bool:
    """Whether another plan is asked for, in any field of either scope."""
    return any(_value(old, field) != _value(new, field) for field in PLAN_FIELDS)


def with_plan_alias(spec: ServiceInstanceSpec, *, old: ServiceInstanceSpec | None = None) -> ServiceInstanceSpec:
    """Copies `planName` into the plan's external name, or, on an update, whichever of the two changed into the other.

    `planName` is kept as written. What cannot be reconciled is left for `class_and_plan_problems`.
    """
    way = way_of(spec)
    if way is None or not way.by_external_name or not spec.plan_name:
        return spec
    name = _value(spec, way.plan_field)
    if name == spec.plan_name:
        return spec
    if name is None:
        return spec.model_copy(update={way.plan_field: spec.plan_name})
    if old is None:
        return spec
    alias_changed, name_changed = spec.plan_name != old.plan_name, name != _value(old, way.plan_field)
    if alias_changed and not name_changed:
        return spec.model_copy(update={way.plan_field: spec.plan_name})
    if name_changed and not alias_changed:
        return spec.model_copy(update={"plan_name": name})
    return spec


def class_and_plan_problems(spec: ServiceInstanceSpec) -> Iterator[FieldProblem]:
    """Why class and plan cannot be told, or do not go together."""
    for field, path in _NAMING_FIELDS.items():
        yield from length_problems(path, _value(spec, field))
    classes = [way for way in WAYS if _value(spec, way.class_field)]
    plans = [way for way in WAYS if _value(spec, way.plan_field)]
    if len({way.is_cluster for way in (*classes, *plans)}) > 1:
        given = _names([*(way.class_field for way in classes), *(way.plan_field for way in plans)])
        yield forbidden(
            "spec", f"{given} are of two scopes; use fields that begin with clusterService, or with service"
        )
        return
    if not classes:
        message = f"name the class: give one of {_names(CLASS_FIELDS)}"
        yield required(f"spec.{wire_name(CLASS_FIELDS[0])}", message)
        return
    if len(classes) > 1:
        given = _names([way.class_field for way in classes])
        yield forbidden("spec", f"the class is named by {given}; leave all but one out")
        return
    if len(plans) > 1:
        given = _names([way.plan_field for way in plans])
        yield forbidden("spec", f"the plan is named by {given}; leave all but one out")
        return
    yield from _match_problems(spec, classes[0], plans[0] if plans else None)


def _match_problems(spec: ServiceInstanceSpec, way: Way, plan: Way | None) -> Iterator[FieldProblem]:
    class_field, plan_field = wire_name(way.class_field), wire_name(way.plan_field)
    if plan is not None and plan != way:
        message = f"with {class_field}, the plan has to be named by {plan_field}"
        yield invalid(f"spec.{wire_name(plan.plan_field)}", message)
        return
    if not spec.plan_name:
        return
    if not way.by_external_name:
        message = f"goes with a class named by its external name; with {class_field}, use {plan_field} instead"
        yield forbidden("spec.planName", message)
    elif plan is not None and _value(spec, way.plan_field) != spec.plan_name:
        message = f"is '{spec.plan_name}' and {plan_field} is '{_value(spec, way.plan_field)}', but both name the plan"
        yield invalid("spec.planName", f"{message}; give one of them")


def _names(fields: tuple[str, ...] | list[str]) -> str:
    return ", ".join(wire_name(field) for field in fields)
