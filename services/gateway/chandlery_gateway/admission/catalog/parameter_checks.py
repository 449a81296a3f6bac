"""Holds parameters against the schema of their plan before they are stored, so that mistakes show at once.

Only what stands in the manifest can be checked here, over the defaults of the catalog: with `parametersFrom`, or
without the catalog at hand, nothing is refused, and the worker checks before anything is sent. No parameters are
checked like others, for some may be required. Dry runs are checked as well.
"""

import asyncio
import re
from typing import Final

from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.offering import default_parameters, wanted_plan
from chandlery.reconcile.parameters.parameter_schemas import violations
from chandlery.reconcile.parameters.parameters import merge_parameters, overlaid, parameters_to_update, what_differs
from chandlery.reconcile.parameters.violation_words import IS_REQUIRED
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.catalog.catalog_lookups import find_class_and_plan, find_delivered

_PATH_AND_WORDS: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^":])+): (.*)', re.DOTALL)
"""Names that are no words are quoted in a path: `parameters.nodes[2]["a: b"]`."""


async def check_new_parameters(unit: UnitOfWork, document: AnyObject) -> None:
    """The parameters of a new instance or binding. Raises Invalid, with one problem for each violation."""
    if not isinstance(document, ServiceInstance | ServiceBinding) or document.spec.parameters_from:
        return
    if isinstance(document, ServiceInstance):
        await _check_creation(unit, document)
    else:
        await _check_bind(unit, document)


async def check_changed_parameters(unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance) -> None:
    """The parameters of an instance, if what is to be sent has changed. Raises Invalid.

    What is being created, or being deleted, is left to the provisioner: only it knows what comes next.
    """
    spec, status = new.spec, old.status
    if spec.parameters_from or status.current_operation in ("Provision", "Deprovision"):
        return
    is_other = _differ(old.spec, spec)
    if status.provision_status == "Provisioned":
        if is_other:
            await _check_update(unit, new)
    elif is_other or wanted_plan(old.spec) != wanted_plan(spec):
        await _check_creation(unit, new)


def _differ(old: ServiceInstanceSpec, new: ServiceInstanceSpec) -> bool:
    return bool(old.parameters_from) or (old.parameters or {}) != (new.parameters or {})


async def _check_creation(unit: UnitOfWork, instance: ServiceInstance) -> None:
    found = await find_class_and_plan(unit, instance)
    schema = found.plan.spec.instance_create_parameter_schema if found else None
    if found is None or schema is None:
        return
    defaults = default_parameters(found.service_class, found.plan)
    parameters = overlaid(defaults, instance.spec.parameters or {})
    # A broker's schema and a user's parameters: it ends, but not soon enough for those who ask meanwhile.
    wrong = await asyncio.to_thread(violations, schema, parameters)
    _refuse(wrong, f'the create schema of the plan "{found.plan.spec.external_name}"')


async def _check_update(unit: UnitOfWork, instance: ServiceInstance) -> None:
    found, has = await find_class_and_plan(unit, instance), instance.status.external_properties
    schema = found.plan.spec.instance_update_parameter_schema if found else None
    if found is None or schema is None:
        return
    parameters = merge_parameters(instance.spec.parameters, (), defaults=instance.status.default_provision_parameters)
    # What the broker has already is not sent: so a change that failed can be taken back.
    forms_of = unit.checksums.of(instance).forms_of
    if has is None or (has.parameter_checksum or "") not in forms_of(parameters.checksum):
        differing = what_differs(parameters, has, forms_of=forms_of)
        update = await asyncio.to_thread(parameters_to_update, schema, parameters.sent, differing=differing)
        _refuse(update.wrong, f'the update schema of the plan "{found.plan.spec.external_name}"')


async def _check_bind(unit: UnitOfWork, binding: ServiceBinding) -> None:
    found = await find_delivered(unit, binding)
    schema = found.plan.spec.service_binding_create_parameter_schema if found else None
    if found is None or schema is None:
        return
    wrong = await asyncio.to_thread(violations, schema, binding.spec.parameters or {})
    _refuse(wrong, f'the binding schema of the plan "{found.plan.spec.external_name}"')


def _refuse(wrong: tuple[str, ...], schema: str) -> None:
    problems = []
    for sentence in wrong:
        parts = _PATH_AND_WORDS.fullmatch(sentence)
        path, words = parts.groups() if parts else ("parameters", sentence)
        is_missing = words == IS_REQUIRED
        told = f"{schema} asks for it" if is_missing else f"{words} ({schema})"
        problems.append(FieldProblem(f"spec.{path}", "FieldValueRequired" if is_missing else "FieldValueInvalid", told))
    if problems:
        raise Invalid(problems=tuple(problems))
