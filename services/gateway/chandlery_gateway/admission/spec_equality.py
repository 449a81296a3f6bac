"""When two specifications ask for the same thing: what makes a new generation, and a new `userInfo`."""

from typing import Any, Final

from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject, WireModel

# Filled in by the server, or, in the case of planName, another spelling of what stands in a field beside it.
_NO_WISHES: Final = frozenset(
    {
        "userInfo",
        "planName",
        "clusterServiceClassRef",
        "clusterServicePlanRef",
        "serviceClassRef",
        "servicePlanRef",
    }
)
_KINDS_WITH_SUCH: Final = frozenset({"ServiceInstance", "ServiceBinding"})


def spec_changed(old: AnyObject, new: AnyObject) -> bool:
    """Whether the object's generation has to be raised; kinds without a specification have none that changes."""
    before, after = getattr(old, "spec", None), getattr(new, "spec", None)
    if before is None or after is None:
        return False
    return specs_differ(before, after, ignored=_NO_WISHES if new.kind in _KINDS_WITH_SUCH else frozenset())


def specs_differ(old: WireModel, new: WireModel, *, ignored: frozenset[str] = _NO_WISHES) -> bool:
    """Whether anything but the ignored fields differs; absent and empty are the same, as in Kubernetes."""
    if old == new:
        return False
    return _wishes(old, ignored) != _wishes(new, ignored)


def _wishes(spec: WireModel, ignored: frozenset[str]) -> JsonObject:
    return {key: value for key, value in spec.to_wire().items() if key not in ignored and not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return value in ("", [], {})
