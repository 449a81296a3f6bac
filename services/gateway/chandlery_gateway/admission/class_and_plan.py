"""How an instance names its class and plan: three ways in each of two scopes, and the alias `planName`."""

from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import ServiceInstanceSpec
from chandlery.model.objects.wire import wire_name
from chandlery_gateway.admission.field_checks import LONGEST_NAME, forbidden, invalid, length_problems, required


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


def class_and_plan_problems(spec: ServiceInstanceSpec) -> list[FieldProblem]:
    """Why class and plan cannot be told, or do not go together."""
    too_long = [field for field in _NAMING_FIELDS if len(_value(spec, field) or "") > LONGEST_NAME]
    problems = [each for field in too_long for each in length_problems(_NAMING_FIELDS[field], _value(spec, field))]
    classes = [way for way in WAYS if _value(spec, way.class_field)]
    plans = [way for way in WAYS if _value(spec, way.plan_field)]
    wrong = _choice_problem(classes, plans) or _match_problem(spec, classes[0], plans[0] if plans else None)
    return [*problems, wrong] if wrong else problems


def _choice_problem(classes: list[Way], plans: list[Way]) -> FieldProblem | None:
    """What is wrong unless one class is named, and at most one plan, in one scope."""
    if len({way.is_cluster for way in (*classes, *plans)}) > 1:
        given = _names([*(way.class_field for way in classes), *(way.plan_field for way in plans)])
        return forbidden(
            "spec",
            f"{given} mix two scopes; use only fields that begin with clusterService, or only fields that "
            "begin with service",
        )
    if not classes:
        message = f"name the class: give one of {_names(CLASS_FIELDS)}"
        return required(f"spec.{wire_name(CLASS_FIELDS[0])}", message)
    if len(classes) > 1:
        given = _names([way.class_field for way in classes])
        return forbidden("spec", f"the class is named by {given}; use only one of them")
    if len(plans) > 1:
        given = _names([way.plan_field for way in plans])
        return forbidden("spec", f"the plan is named by {given}; use only one of them")
    return None


def _match_problem(spec: ServiceInstanceSpec, way: Way, plan: Way | None) -> FieldProblem | None:
    class_field, plan_field = wire_name(way.class_field), wire_name(way.plan_field)
    if plan is not None and plan != way:
        message = f"with {class_field}, the plan must be named by {plan_field}"
        return invalid(f"spec.{wire_name(plan.plan_field)}", message)
    if not spec.plan_name:
        return None
    if not way.by_external_name:
        message = f"is only for a class named by its external name; with {class_field}, use {plan_field} instead"
        return forbidden("spec.planName", message)
    if plan is not None and _value(spec, way.plan_field) != spec.plan_name:
        message = f"is '{spec.plan_name}' and {plan_field} is '{_value(spec, way.plan_field)}', but both name the plan"
        return invalid("spec.planName", f"{message}; give one of them")
    return None


def _names(fields: tuple[str, ...] | list[str]) -> str:
    return ", ".join(wire_name(field) for field in fields)
