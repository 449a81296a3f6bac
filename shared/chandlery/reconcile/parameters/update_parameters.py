"""Which parameters an update sends, and what is wrong with them: a whole wish against a schema for requests. Pure.

A manifest says all parameters of an instance; a plan's update schema says what one request may hold, and many leave out
what cannot be changed. So the schema is the broker's word on what to send: all of them where it takes that, as the
reference does, else those that differ (ADR 0021). Called by the provisioner before an update, and by the gateway
when a wish is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.parameter_schemas import violations


@dataclass(frozen=True)
class UpdateParameters:
    """What is to be sent, and sentences about what the schema does not allow of it."""

    sent: JsonObject = field(repr=False)
    wrong: tuple[str, ...] = ()


def parameters_to_update(schema: Any, parameters: JsonObject, *, differing: JsonObject) -> UpdateParameters:
    """All parameters, or as few as the update schema takes; `differing` are others than the broker has.

    Tried in this order: all; those that differ and those that the schema lists; those that differ.
    """
    if schema is None:
        return UpdateParameters(parameters)
    told: tuple[str, ...] = ()
    for candidate in _candidates(schema, parameters, differing):
        wrong = violations(schema, candidate)
        if not wrong:
            return UpdateParameters(candidate)
        # The least that could be sent is what people are told of: the rest stands there for good reason.
        told = wrong
    return UpdateParameters(differing, told)


def _candidates(schema: Any, whole: JsonObject, differing: JsonObject) -> Iterator[JsonObject]:
    yield whole
    properties = schema.get("properties") if isinstance(schema, dict) else None
    listed = properties if isinstance(properties, dict) else {}
    for keys in (differing.keys() | listed.keys(), differing.keys()):
        candidate = {key: value for key, value in whole.items() if key in keys}
        # An empty object would be an order to forget all of them, to some brokers.
        if candidate and len(candidate) < len(whole):
            yield candidate
