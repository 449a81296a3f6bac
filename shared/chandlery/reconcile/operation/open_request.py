"""A request of unknown fate: noted before it is sent, and on record until its answer is. Pure.

A worker that dies in between leaves the note behind, sealed; the next one finds it and sends exactly the same again,
which OSB makes harmless.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import Field

from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.reconcile.operation.purpose import Purpose

PurposeT = TypeVar("PurposeT", bound=Purpose)


class OpenRequest(WireModel, Generic[PurposeT]):
    """What every note on a request holds; what else a repeat needs is the business of each kind of object."""

    purpose: PurposeT
    started_at: float = 0.0
    encoded: JsonObject = Field(
        default_factory=dict, repr=False, validation_alias="request", serialization_alias="request"
    )
    """The request itself, to be sent once more."""


RequestT = TypeVar("RequestT")


@dataclass(frozen=True)
class Repeat(Generic[RequestT]):
    """Nobody knows what came of a request: send exactly the same again."""

    request: RequestT
