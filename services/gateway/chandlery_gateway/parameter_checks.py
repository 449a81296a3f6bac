"""Holds parameters against the schema of their plan before they are stored, so that mistakes show at once.

Only what stands in the manifest can be checked here: with `parametersFrom`, or without the catalog at hand, nothing is
refused, and the worker checks before anything is sent. Dry runs are checked as well.
"""

import asyncio
import re
from typing import Any, Final

from chandlery.model.bindings import ServiceBinding
from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.kinds import AnyObject
from chandlery.model.wire import JsonObject
from chandlery.reconcile.offering import wanted_plan
from chandlery.reconcile.parameter_schemas import violations
from chandlery.reconcile.parameters import checksum
from chandlery.store.database import UnitOfWork
from chandlery_gateway.catalog_lookups import find_classes, find_current_plan, find_instance, find_plan

_PATH_AND_WORDS: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^":])+): (.*)', re.DOTALL)
"""Names that are no words are quoted in a path: `parameters.nodes[2]["a: b"]`."""


async def check_new_parameters(unit: UnitOfWork, document: AnyObject) -> None:
    """The parameters of a new instance or binding. Raises Invalid, with one problem for each violation."""
    if not isinstance(document, ServiceInstance | ServiceBinding):
        return
    spec = document.spec
    if spec.parameters is None or spec.parameters_from:
        return
    if isinstance(document, ServiceInstance):
        await _refuse_violations(await _create_schema(unit, document), spec.parameters)
    else:
        await _refuse_violations(await _binding_schema(unit, document), spec.parameters)


async def check_changed_parameters(unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance) -> None:
    """The parameters of an instance, if what is to be sent has changed. Raises Invalid.

    What is being created, or being deleted, is left to the provisioner: only it knows what comes next.
    """
    spec, status = new.spec, old.status
    if spec.parameters is None or spec.parameters_from or status.current_operation in ("Provision", "Deprovision"):
        return
    is_other = _differ(old.spec, spec)
    if status.provision_status == "Provisioned":
        told = status.external_properties
        # What the broker has already is not sent: so a change that failed can be taken back.
        forms = unit.checksums.forms_of(checksum(spec.parameters))
        if is_other and (told is None or (told.parameter_checksum or "") not in forms):
            await _refuse_violations(await _update_schema(unit, new), spec.parameters)
    elif is_other or wanted_plan(old.spec) != wanted_plan(spec):
        await _refuse_violations(await _create_schema(unit, new), spec.parameters)


def _differ(old: ServiceInstanceSpec, new: ServiceInstanceSpec) -> bool:
    return bool(old.parameters_from) or (old.parameters or {}) != (new.parameters or {})


async def _create_schema(unit: UnitOfWork, instance: ServiceInstance) -> Any:
    plan = await find_plan(unit, instance)
    return plan.spec.instance_create_parameter_schema if plan else None


async def _update_schema(unit: UnitOfWork, instance: ServiceInstance) -> Any:
    plan = await find_plan(unit, instance)
    return plan.spec.instance_update_parameter_schema if plan else None


async def _binding_schema(unit: UnitOfWork, binding: ServiceBinding) -> Any:
    instance = await find_instance(unit, binding)
    classes = await find_classes(unit, instance) if instance else []
    if instance is None or len(classes) != 1:
        return None
    plan = await find_current_plan(unit, classes[0], instance)
    return plan.spec.service_binding_create_parameter_schema if plan else None


async def _refuse_violations(schema: Any, parameters: JsonObject) -> None:
    if schema is None:
        return
    problems = []
    # A broker's schema and a user's parameters: it ends, but not soon enough for those who ask meanwhile.
    for sentence in await asyncio.to_thread(violations, schema, parameters):
        parts = _PATH_AND_WORDS.fullmatch(sentence)
        path, words = parts.groups() if parts else ("parameters", sentence)
        problems.append(FieldProblem(f"spec.{path}", "FieldValueInvalid", words))
    if problems:
        raise Invalid(problems=tuple(problems))
