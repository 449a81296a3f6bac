"""The messages. They carry identity, never state: a late one is harmless, because its reader looks at the row.

Commands are imperative and have one consumer; events are past-tense facts that anybody may subscribe to.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from chandlery.model.wire import WireModel

UNRESOLVED_LANE = "unresolved"
"""The lane of work whose service broker is not known yet."""


class Reconcile(WireModel):
    """Command: look at this object and do what is due."""

    type: Literal["Reconcile"] = "Reconcile"
    kind: str
    uid: str
    lane: str = UNRESOLVED_LANE


class ObjectChanged(WireModel):
    """Event: something was written; watchers may look now."""

    type: Literal["ObjectChanged"] = "ObjectChanged"
    kind: str
    uid: str
    reason: str = ""
    """The past-tense fact, a condition reason such as `ProvisionedSuccessfully`."""


class LaneOpened(WireModel):
    """Event: a service broker was registered; workers may start to listen on its lane."""

    type: Literal["LaneOpened"] = "LaneOpened"
    lane: str


Message = Reconcile | ObjectChanged | LaneOpened
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


class UnreadableMessage(ValueError):
    """The message does not follow the contract."""


def encode(message: Message) -> bytes:
    """The message as it travels."""
    return message.model_dump_json(by_alias=True, exclude_none=True).encode()


def decode(payload: bytes) -> Message:
    """Read a message; raises UnreadableMessage, which sends it to the dead letters at once."""
    try:
        return _MESSAGES.validate_json(payload)
    except ValueError as error:
        raise UnreadableMessage(str(error)) from error
