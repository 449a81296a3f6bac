"""When credentials are replaced, and when what they replaced is revoked. Pure; moments are Unix times.

OSB v2.17, "Binding Rotation" and the `metadata` of a binding: shortly before `renew_before`, or before `expires_at`
where a broker gives only that.
"""

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.bindings import ServiceBindingStatus
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import Retired, RotationNotes

_LONGEST_MARGIN_SECONDS = 3600.0
_MARGIN_SHARE = 0.1
"""Of the time between grant and deadline, so that short-lived credentials are not replaced at once."""
_SHORTEST_LIFE_SECONDS = 1.0


def renewal(status: ServiceBindingStatus, notes: RotationNotes) -> float | None:
    """When credentials are replaced by themselves. A deadline that was over when it was given counts for nothing."""
    deadlines = [moment.timestamp() for moment in (status.renew_before, status.expires_at) if moment is not None]
    deadline = next((moment for moment in deadlines if moment > notes.granted_at), None)
    if deadline is None:
        return None
    margin = min(_LONGEST_MARGIN_SECONDS, (deadline - notes.granted_at) * _MARGIN_SHARE)
    return max(deadline - margin, notes.granted_at + _SHORTEST_LIFE_SECONDS)


def has_new_rotation_request(snapshot: BindingSnapshot) -> bool:
    """Whether a user wants other credentials and it has not been tried."""
    notes, request = snapshot.memory.rotation, snapshot.requested_actions.rotate
    return request not in ("", notes.seen, notes.tried)


def is_rotation_wanted(snapshot: BindingSnapshot) -> bool:
    """Whether the credentials are to be replaced, be it when their time comes or because a user has asked for it."""
    notes, request = snapshot.memory.rotation, snapshot.requested_actions.rotate
    is_asked_for = request not in ("", notes.seen)
    return not notes.is_refused and (is_asked_for or renewal(snapshot.binding.status, notes) is not None)


def next_rotation(snapshot: BindingSnapshot) -> float | None:
    """When credentials are to be replaced; long ago if a user has just asked for it, None if there is no reason to.

    Not before it is known that nothing is left of an attempt that failed.
    """
    notes, request = snapshot.memory.rotation, snapshot.requested_actions.rotate
    if snapshot.has_leftovers:
        return None
    if has_new_rotation_request(snapshot):
        return 0.0
    if notes.is_refused:
        return None
    if request not in ("", notes.seen):
        return notes.next_at
    by_itself = renewal(snapshot.binding.status, notes)
    return None if by_itself is None else max(by_itself, notes.next_at)


def next_retirement(snapshot: BindingSnapshot) -> Retired | None:
    """What is to be unbound first. What a failed rotation left waits for a user where mitigation is not automatic."""
    is_manual = snapshot.mitigation == Mitigation.MANUAL
    due = [each for each in snapshot.memory.retired if not each.is_waived and not (each.is_leftover and is_manual)]
    return min(due, key=lambda each: each.next_at, default=None)


def expiry(status: ServiceBindingStatus) -> float | None:
    """When the credentials in the Secret end."""
    return status.expires_at.timestamp() if status.expires_at else None


def next_look(snapshot: BindingSnapshot, now: float) -> float | None:
    """When a binding that is ready has to be looked at again, if ever."""
    background = snapshot.memory.background_operation
    if background is not None:
        return background.next_at
    end, retirement = expiry(snapshot.binding.status), next_retirement(snapshot)
    moments = [
        next_rotation(snapshot),
        retirement.next_at if retirement else None,
        # To say that they have ended.
        end if end is not None and end > now else None,
    ]
    return min((moment for moment in moments if moment is not None), default=None)
