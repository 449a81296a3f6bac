"""The messages. They carry identity, never state: a late one is harmless, because its reader looks at the row.

Comes in: for `decode`, bytes from the bus; whatever is wrong with them shows here, for names that no object can have
lead nowhere and could break queues.
Goes out: `Reconcile`, a command with one consumer: look at this object. `ObjectChanged` and `LaneOpened`, events:
past-tense facts that anybody may subscribe to.
Called by: the store's outbox, which writes them in the transaction of what they speak of; both buses; the workers.

`topology.py` says where each of them goes.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from chandlery.model.objects.wire import WireModel

UNRESOLVED_LANE = "unresolved"
"""The lane of work whose service broker is not known yet."""


GARBAGE = "Garbage"
"""What an `ObjectChanged` is about that wakes the garbage collector; no kind of object."""


_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def sound_trace(told: object) -> str | None:
    """A `traceparent` as it is; None for what has another form. That costs the trace and never the message."""
    return told if isinstance(told, str) and _TRACEPARENT.fullmatch(told) else None


class Reconcile(WireModel):
    """Command: look at this object and do what is due."""

    type: Literal["Reconcile"] = "Reconcile"
    kind: str
    uid: str
    lane: str = UNRESOLVED_LANE
    traceparent: Annotated[str | None, BeforeValidator(sound_trace)] = None
    """The span that made the object due (W3C Trace Context, 3.2). On the bus it goes beside the message."""


class ObjectChanged(WireModel):
    """Event: something of a kind was written; watchers may look now. One transaction sends one for each kind."""

    type: Literal["ObjectChanged"] = "ObjectChanged"
    kind: str
    uid: str
    """Of the first object that the transaction has written of the kind."""
    reason: str = ""
    """The past-tense fact, a condition reason such as `ProvisionedSuccessfully`."""


class LaneOpened(WireModel):
    """Event: a service broker was registered; workers may start to listen on its lane."""

    type: Literal["LaneOpened"] = "LaneOpened"
    lane: str


Message = Reconcile | ObjectChanged | LaneOpened
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])

MOST_BYTES = 4096
"""Of a message: several times the longest one that we write."""

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SHAPES = {
    "kind": re.compile(r"[A-Z][A-Za-z]{0,62}"),
    "uid": re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,127}"),
    "lane": re.compile(
        rf"(?=.{{1,63}}\Z){_LABEL}|broker:(?=[^/]{{0,63}}/)({_LABEL})?/(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*"
    ),
    "reason": re.compile(r"[A-Za-z0-9]{0,128}"),
}
"""Field -> what it can be. A lane is a word of ours, or `broker:` with namespace and name of a service broker."""


class UnreadableMessage(ValueError):
    """The message does not follow the contract."""


_BESIDE = {"traceparent"}


def encode(message: Message) -> bytes:
    """The message as it travels. The releases before this one refuse a trace in it."""
    return message.model_dump_json(by_alias=True, exclude_none=True, exclude=_BESIDE).encode()


def encode_whole(message: Message) -> bytes:
    """The message as it is kept until it travels."""
    return message.model_dump_json(by_alias=True, exclude_none=True).encode()


def decode(payload: bytes) -> Message:
    """Read a message; raises UnreadableMessage, which sends it to the dead letters at once."""
    if len(payload) > MOST_BYTES:
        raise UnreadableMessage(f"a message has at most {MOST_BYTES} bytes")
    try:
        message = _MESSAGES.validate_json(payload)
    except ValueError as error:
        raise UnreadableMessage(str(error)) from error
    require_sound(message)
    return message


def require_sound(message: Message) -> None:
    """Raise UnreadableMessage if a field has what no object of ours can have."""
    for field, shape in _SHAPES.items():
        value = getattr(message, field, None)
        if isinstance(value, str) and not shape.fullmatch(value):
            raise UnreadableMessage(f"{field} of a {message.type} has a form that no {field} can have")
