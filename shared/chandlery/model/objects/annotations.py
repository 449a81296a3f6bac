"""What people ask for by annotating an object: stock `kubectl annotate` is enough to get out of any state."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chandlery.model.objects.metadata import ObjectMeta

PREFIX: Final = "chandlery.io/"
RETRY: Final = f"{PREFIX}retry-requested-at"
"""Any new value, mostly the time: try now, also what has failed for good."""
ROTATE: Final = f"{PREFIX}rotate-requested-at"
"""Any new value, mostly the time: replace the credentials of a binding."""
ABANDON: Final = f"{PREFIX}abandon"
"""`true`: when deleted, the object goes without its service broker being asked. What the broker has stays there."""
FORCE_DELETE: Final = f"{PREFIX}force-delete"
"""`true`: when deleted, the broker is asked once, and whatever it answers, the object goes, with its bindings."""
UNREADABLE: Final = f"{PREFIX}unreadable"
"""Shown on a Secret that does not open: why. Nobody gives it, and it is stored nowhere."""
TRACE_ID: Final = f"{PREFIX}trace-id"
"""On a recorded event: W3C's id of the trace in which it last happened."""
ORPHAN_MITIGATION: Final = f"{PREFIX}orphan-mitigation"
"""What to do with what a failed creation may have left; wins over the broker's `orphanMitigation`."""

BROKER_ALLOW: Final = f"{PREFIX}broker-allow"
"""On a Namespace: the only places where its ServiceBrokers may be. Whoever may not update namespaces cannot give it."""
BROKER_DENY: Final = f"{PREFIX}broker-deny"
"""On a Namespace: places where its ServiceBrokers may not be."""


class Mitigation(StrEnum):
    """Values of the annotation for orphan mitigation."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"
    WAIVE = "Waive"


@dataclass(frozen=True, kw_only=True)
class RequestedActions:
    """The annotations of one object, read."""

    retry: str = ""
    rotate: str = ""
    abandons: bool = False
    forces_deletion: bool = False
    mitigation: Mitigation | None = None


_NONE_REQUESTED: Final = RequestedActions()


def requested_actions_of(metadata: ObjectMeta) -> RequestedActions:
    """What the object's annotations ask for. Values that admission would refuse count as absent."""
    given = metadata.annotations
    if not given:
        return _NONE_REQUESTED
    mitigation = given.get(ORPHAN_MITIGATION)
    return RequestedActions(
        retry=given.get(RETRY, ""),
        rotate=given.get(ROTATE, ""),
        abandons=given.get(ABANDON) == "true",
        forces_deletion=given.get(FORCE_DELETE) == "true",
        mitigation=Mitigation(mitigation) if mitigation in set(Mitigation) else None,
    )


def requested_actions_in(annotations: Mapping[str, str] | None) -> dict[str, str]:
    """The annotations that request an action, to see whether there is a new one."""
    return {key: value for key, value in (annotations or {}).items() if key.startswith(PREFIX)}
