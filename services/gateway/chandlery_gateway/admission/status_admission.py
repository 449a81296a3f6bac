"""Rules for writes to the status subresource (the part that protects readers). Workers write it in another way."""

import re
from collections.abc import Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.instances import ServiceInstance
from chandlery.reconcile.parameters.keyed_checksums import KEYED
from chandlery_gateway.admission.field_checks import forbidden, invalid, required

_CHECKSUM = re.compile(rf"{KEYED.pattern}|[0-9a-fA-F]{{64}}")
_LONGEST_OPERATION_KEY: Final = 10_000


def generation_problems(document: AnyBroker | ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    """A generation that has been acted on before there is one."""
    if document.status.reconciled_generation > (document.metadata.generation or 0):
        yield invalid("status.reconciledGeneration", "must not be greater than metadata.generation")


def operation_status_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    """What contradicts itself in the status of an object that operations run for."""
    yield from generation_problems(document)
    yield from _operation_problems(document)
    yield from _in_progress_problems(document)
    yield from _checksum_problems(document)


def _operation_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    status = document.status
    if len(status.last_operation or "") > _LONGEST_OPERATION_KEY:
        yield FieldProblem(
            "status.lastOperation", "FieldValueTooLong", f"may be at most {_LONGEST_OPERATION_KEY} characters long"
        )
    if status.current_operation:
        if status.reconciled_generation and status.reconciled_generation == document.metadata.generation:
            message = "must be left out while reconciledGeneration is metadata.generation: no operation is pending"
            yield forbidden("status.currentOperation", message)
        if status.operation_start_time is None and not status.orphan_mitigation_in_progress:
            yield required("status.operationStartTime", "must be given while currentOperation is")
        if is_true(status.conditions, ConditionType.READY):
            yield forbidden("status.conditions", "Ready cannot be True while currentOperation is given")
        return
    if status.async_op_in_progress:
        yield forbidden("status.asyncOpInProgress", "must be false without currentOperation")
    if status.last_operation:
        yield forbidden("status.lastOperation", "must be left out without currentOperation")
    if status.operation_start_time is not None and not status.orphan_mitigation_in_progress:
        yield forbidden("status.operationStartTime", "must be left out without currentOperation")


def _in_progress_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    """Given while something is asked for. What mitigates an orphan may have them, or not."""
    status, field = document.status, "status.inProgressProperties"
    if status.orphan_mitigation_in_progress:
        return
    asks = status.current_operation not in (None, "Unbind")
    if asks and status.in_progress_properties is None:
        yield required(field, f"must be given while currentOperation is {status.current_operation}")
    elif not asks and status.in_progress_properties is not None:
        when = f"while it is {status.current_operation}" if status.current_operation else "without currentOperation"
        yield forbidden(field, f"must be left out {when}")


def _checksum_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    states = (
        ("inProgressProperties", document.status.in_progress_properties),
        ("externalProperties", document.status.external_properties),
    )
    for field, state in states:
        if state is None:
            continue
        path, checksum = f"status.{field}.parameterChecksum", state.parameter_checksum
        if checksum and not _CHECKSUM.fullmatch(checksum):
            yield invalid(path, "must be unchanged, or a SHA-256 checksum of 64 hexadecimal digits")
        elif state.parameters and not checksum:
            yield required(path, "must be given with parameters")
        elif checksum and state.parameters is None:
            yield forbidden(path, "must be left out without parameters")
