"""Holds parameters against the schema of their plan before they are stored, so that mistakes show at once.

Only what stands in the manifest can be checked here, over the defaults of the catalog: with `parametersFrom`, or
without the catalog at hand, nothing is refused, and the worker checks before anything is sent. No parameters are
checked like others, for some may be required. Dry runs are checked as well.
"""

import asyncio
import re
from collections.abc import Callable, Collection
from enum import Enum
from typing import Final

from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.reconcile.offering import default_parameters
from chandlery.reconcile.parameters.parameter_schemas import violations
from chandlery.reconcile.parameters.parameters import merge_parameters, overlaid, parameters_to_update, what_differs
from chandlery.reconcile.parameters.violation_words import IS_REQUIRED

_PATH_AND_WORDS: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^":])+): (.*)', re.DOTALL)
"""Names that are no words are quoted in a path: `parameters.nodes[2]["a: b"]`."""


class ParameterCheck(Enum):
    """By which schema of its plan a changed instance is checked."""

    CREATION = "creation"
    UPDATE = "update"


def due_check(old: ServiceInstance, new: ServiceInstance, *, is_other_plan: bool) -> ParameterCheck | None:
    """How the parameters of an instance are to be checked, if what is to be sent has changed.

    What is being created, or being deleted, is left to the provisioner: only it knows what comes next.
    """
    if new.spec.parameters_from or old.status.current_operation in ("Provision", "Deprovision"):
        return None
    is_other = bool(old.spec.parameters_from) or (old.spec.parameters or {}) != (new.spec.parameters or {})
    if old.status.provision_status == "Provisioned":
        return ParameterCheck.UPDATE if is_other else None
    return ParameterCheck.CREATION if is_other or is_other_plan else None


async def check_creation(instance: ServiceInstance, service_class: AnyClass, plan: AnyPlan) -> None:
    """The parameters that an instance is made with. Raises Invalid, with one problem for each violation."""
    schema = plan.spec.instance_create_parameter_schema
    if schema is None:
        return
    parameters = overlaid(default_parameters(service_class, plan), instance.spec.parameters or {})
    # A broker's schema and a user's parameters: it ends, but not soon enough for those who ask meanwhile.
    wrong = await asyncio.to_thread(violations, schema, parameters)
    _refuse(wrong, f'the create schema of the plan "{plan.spec.external_name}"')


async def check_update(instance: ServiceInstance, plan: AnyPlan, *, forms_of: Callable[[str], Collection[str]]) -> None:
    """The parameters that a provisioned instance is to have. Raises Invalid."""
    has, schema = instance.status.external_properties, plan.spec.instance_update_parameter_schema
    if schema is None:
        return
    parameters = merge_parameters(instance.spec.parameters, (), defaults=instance.status.default_provision_parameters)
    # What the broker has already is not sent: so a change that failed can be taken back.
    if has is None or (has.parameter_checksum or "") not in forms_of(parameters.checksum):
        differing = what_differs(parameters, has, forms_of=forms_of)
        update = await asyncio.to_thread(parameters_to_update, schema, parameters.sent, differing=differing)
        _refuse(update.wrong, f'the update schema of the plan "{plan.spec.external_name}"')


async def check_bind(binding: ServiceBinding, plan: AnyPlan) -> None:
    """The parameters of a new binding. Raises Invalid."""
    schema = plan.spec.service_binding_create_parameter_schema
    if schema is not None:
        wrong = await asyncio.to_thread(violations, schema, binding.spec.parameters or {})
        _refuse(wrong, f'the binding schema of the plan "{plan.spec.external_name}"')


def _refuse(wrong: tuple[str, ...], schema: str) -> None:
    problems = []
    for sentence in wrong:
        parts = _PATH_AND_WORDS.fullmatch(sentence)
        path, words = parts.groups() if parts else ("parameters", sentence)
        is_missing = words == IS_REQUIRED
        told = f"{schema} requires it" if is_missing else f"{words} ({schema})"
        problems.append(FieldProblem(f"spec.{path}", "FieldValueRequired" if is_missing else "FieldValueInvalid", told))
    if problems:
        raise Invalid(problems=tuple(problems))
