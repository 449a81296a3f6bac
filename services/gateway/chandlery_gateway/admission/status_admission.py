"""Rules for writes to the status subresource (the part that protects readers). Workers write it in another way."""

import re
from collections.abc import Iterator
from typing import Final

from chandlery.model.bindings import ServiceBinding
from chandlery.model.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.conditions import ConditionType, is_true
from chandlery.model.faults import FieldProblem
from chandlery.model.instances import ServiceInstance
from chandlery.model.kinds import AnyObject
from chandlery_gateway.admission.field_checks import forbidden, invalid

_CHECKSUM = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST_OPERATION_KEY: Final = 10_000


def status_problems(document: AnyObject) -> Iterator[FieldProblem]:
    """What contradicts itself in the status of a broker, instance or binding; other kinds have nothing that could."""
    if not isinstance(document, ServiceInstance | ServiceBinding | ClusterServiceBroker | ServiceBroker):
        return
    if document.status.reconciled_generation > (document.metadata.generation or 0):
        yield invalid("status.reconciledGeneration", "must not be greater than metadata.generation")
    if isinstance(document, ServiceInstance | ServiceBinding):
        yield from _operation_problems(document)
        yield from _checksum_problems(document)


def _operation_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    status = document.status
    if len(status.last_operation or "") > _LONGEST_OPERATION_KEY:
        yield FieldProblem(
            "status.lastOperation", "FieldValueTooLong", f"may be {_LONGEST_OPERATION_KEY} characters long"
        )
    if status.current_operation:
        if status.operation_start_time is None and not status.orphan_mitigation_in_progress:
            yield invalid("status.operationStartTime", "must be given while currentOperation is")
        if is_true(status.conditions, ConditionType.READY):
            yield forbidden("status.conditions", "Ready cannot be True while currentOperation is given")
        return
    if status.async_op_in_progress:
        yield forbidden("status.asyncOpInProgress", "must be false without currentOperation")
    if status.last_operation:
        yield forbidden("status.lastOperation", "must be left out without currentOperation")
    if status.operation_start_time is not None and not status.orphan_mitigation_in_progress:
        yield forbidden("status.operationStartTime", "must be left out without currentOperation")


def _checksum_problems(document: ServiceInstance | ServiceBinding) -> Iterator[FieldProblem]:
    states = (
        ("inProgressProperties", document.status.in_progress_properties),
        ("externalProperties", document.status.external_properties),
    )
    for field, state in states:
        checksum = state.parameter_checksum if state else None
        if checksum and not _CHECKSUM.fullmatch(checksum):
            yield invalid(f"status.{field}.parameterChecksum", "must be a SHA-256 in hex, 64 digits")
