"""What of an object is counted, and whether it is what was desired of it. Pure; `round_writer.py` keeps it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.reasons import BindingReason


@dataclass(frozen=True)
class CountedState:
    """See `Release`."""

    ready: str | None
    expires_at: datetime | None
    is_reached: bool


def counted_state(document: AnyObject) -> CountedState:
    """What is counted of the object as it is now."""
    status: Any = getattr(document, "status", None)
    conditions = getattr(status, "conditions", None) or ()
    ready = find_condition(conditions, ConditionType.READY)
    return CountedState(
        ready=str(ready.status) if ready is not None else None,
        expires_at=_expiry(document) if isinstance(document, ServiceBinding) else None,
        is_reached=_is_reached(document, status, ready),
    )


def _is_reached(document: AnyObject, status: Any, ready: Condition | None) -> bool:
    # An instance stays ready in its earlier state while another one is wanted.
    if ready is None or ready.status != ConditionStatus.TRUE:
        return False
    reconciled: int = getattr(status, "reconciled_generation", 0)
    return reconciled >= (document.metadata.generation or 0)


def _expiry(binding: ServiceBinding) -> datetime | None:
    """When somebody's credentials end unless something is done: not those of a binding that goes, or is renewed now."""
    under_way = find_condition(binding.status.conditions, ConditionType.RECONCILING)
    is_renewed = under_way is not None and under_way.reason == BindingReason.ROTATING
    return None if is_renewed or binding.metadata.deletion_timestamp else binding.status.expires_at
