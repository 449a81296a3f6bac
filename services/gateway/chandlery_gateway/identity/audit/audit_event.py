"""What happened with one request, for whoever has to account for it later.

The pipeline begins an `AuditEvent` before it knows who sends a request, and everybody on the way adds what they know:
all that was asked of the authorizer (`recording_authorizer`), the objects that it was about (`note_object`). The event
of a request is found through a context variable, so that nobody has to hand it on. A pure carrier: nothing is written.
"""

import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.time_ordered_ids import time_ordered_id
from chandlery.telemetry.current_trace import current_trace_id
from chandlery_gateway.identity.authorization import Access, Decision

if TYPE_CHECKING:
    from chandlery_gateway.identity.audit.policy.audit_policy import Recording


@dataclass(frozen=True, slots=True)
class NotedDecision:
    """One answer of the authorizer."""

    access: Access
    decision: Decision


_NO_ROUTE: Final = frozenset({404, 405})


@dataclass(slots=True)
class AuditEvent:
    """One request, from its first byte to its answer."""

    method: str
    path: str
    query: bytes = b""
    address: str = ""
    forwarded: tuple[str, ...] = ()
    """What a front proxy that is believed says of the way to it, the farthest first."""
    """Of the connection, as far as that is known."""
    user_agent: str = ""
    audit_id: str = field(default_factory=time_ordered_id)
    """Told to the client in the header `Audit-ID`."""
    trace_id: str = field(default_factory=current_trace_id)
    """Of the request, as in log lines; empty if it has none."""
    received_ns: int = field(default_factory=time.time_ns)
    """Since the epoch."""
    began: float = field(default_factory=time.monotonic)
    sender: UserInfo | None = None
    """The user whose credentials it carried."""
    user: UserInfo | None = None
    """Whom it counted as, which is somebody else when the sender acts as them."""
    access: Access | None = None
    """What was to be done; None if nobody had to be asked about it, or it has not come so far."""
    decisions: list[NotedDecision] = field(default_factory=list)
    """All that the authorizer said on its way, in order: of the request itself, and of what else it needs."""
    status: int = 0
    """The code of the answer; 0 while there is none."""
    reason: str = ""
    """Kubernetes' word for a failure, such as `Forbidden`."""
    object_name: str = ""
    object_uid: str = ""
    related_uids: list[str] = field(default_factory=list)
    """Of objects that it is about as well: of a Secret its owners, of a list of Secrets all that it shows."""
    is_stream: bool = False
    """Whether it asks for a watch, which goes on after its answer has begun."""
    is_over: bool = False
    """Of a watch, whether it has ended by now."""
    shown: int = 0
    """Of a watch of Secrets, how often it has shown some."""
    route: str = ""
    """What metrics call the route that its path has; empty for one that has none, or has not come so far."""
    keeps_body: bool = False
    """Whether somebody wants to see what was sent."""
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    is_admitted: bool = False
    """Whether that it is about to act has been recorded."""
    recording: "Recording | None" = None
    """How much of it is recorded, as the policy said when it was first asked, and what was known of it then."""
    recording_access: Access | None = None

    @property
    def has_known_path(self) -> bool:
        """Whether its path is that of a resource. Any other may hold whatever somebody has typed or pasted."""
        if self.access is not None:
            return bool(self.access.resource)
        return bool(self.route) and self.status not in _NO_ROUTE

    @property
    def decision(self) -> Decision | None:
        """Whether the request itself was allowed, as far as that was asked."""
        own = next((noted.decision for noted in self.decisions if noted.access == self.access), None)
        return own if self.access is not None else None


_CURRENT: ContextVar[AuditEvent | None] = ContextVar("chandlery_audit_event", default=None)
begin_event = _CURRENT.set
"""From here on, everything in this context is on account of this event."""


def current_event() -> AuditEvent:
    """The event of the request that is being served. Only within one."""
    event = _CURRENT.get()
    if event is None:
        raise LookupError("no request is being served here")
    return event


def note_decision(access: Access, decision: Decision) -> None:
    """The authorizer was asked; does nothing outside of a request."""
    event = _CURRENT.get()
    if event is not None:
        event.decisions.append(NotedDecision(access, decision))


def note_object(stored: AnyObject) -> None:
    """The request is about this object, whose name and uid may not stand in it."""
    event = _CURRENT.get()
    if event is None:
        return
    metadata = stored.metadata
    event.object_name, event.object_uid = metadata.name, metadata.uid or ""
    event.related_uids.extend(owner.uid for owner in metadata.owner_references or ())


def note_body(payload: bytes, content_type: str) -> None:
    """The request has sent this."""
    event = _CURRENT.get()
    if event is not None and event.keeps_body:
        event.body, event.content_type = payload, content_type


def note_related(uids: Iterable[str]) -> None:
    """The request is about objects with these uids, too."""
    event = _CURRENT.get()
    if event is not None:
        event.related_uids.extend(uids)


def uids_shown(wire: JsonObject) -> Iterator[str]:
    """The uid of an object, and of its owners: whoever asks who has read a credential asks by the owner's."""
    metadata = wire["metadata"]
    yield metadata.get("uid", "")
    yield from (owner["uid"] for owner in metadata.get("ownerReferences", ()))
