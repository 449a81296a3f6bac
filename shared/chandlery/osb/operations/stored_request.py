"""The JSON form of a request while it is in flight, so that the worker after a crash repeats exactly the same."""

from dataclasses import fields
from typing import Any, Self

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.faults import UnreadableRequest


class StoredRequest:
    """Mixin for the frozen request dataclasses: their fields as a JSON object, and back."""

    __slots__ = ()

    def to_wire(self) -> JsonObject:
        """All fields by name. Holds parameters: seal it before it is stored."""
        return {entry.name: getattr(self, entry.name) for entry in _fields(type(self))}

    @classmethod
    def from_wire(cls, document: JsonObject) -> Self:
        """The request that `to_wire` was called on.

        Raises:
            UnreadableRequest: fields are missing, or there are some that this version does not know. To drop them
                would mean to send another request than the one that may be in flight.
        """
        known = _fields(cls)
        unknown = document.keys() - {entry.name for entry in known}
        if unknown:
            raise UnreadableRequest(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
        try:
            return cls(**document)
        except TypeError as error:
            # The message names fields, never values.
            raise UnreadableRequest(f"a stored {cls.__name__} is incomplete: {error}") from error


def _fields(request: Any) -> tuple[Any, ...]:
    return fields(request)
