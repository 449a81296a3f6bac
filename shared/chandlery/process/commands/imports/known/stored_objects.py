"""Whether what is stored under a name is what the dump has there, and in what they differ. Pure; no value is told."""

from collections.abc import Iterator
from typing import Final

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.process.commands.imports.known.offering_index import broker_name, class_name

_SERVERS: Final = frozenset(
    {
        *("clusterServiceClassRef", "clusterServicePlanRef", "serviceClassRef", "servicePlanRef"),
        *("userInfo", "planName"),
    }
)
_MOST: Final = 5


def is_same_object(stored: AnyObject, old: AnyObject) -> bool:
    """Whether both stand for the same thing at a service broker, or for the same broker."""
    if isinstance(stored, AnyBroker) and isinstance(old, AnyBroker):
        return stored.spec.url.rstrip("/") == old.spec.url.rstrip("/")
    if _offered_by(stored) != _offered_by(old):
        return False
    mine, other = (getattr(getattr(each, "spec", None), "external_id", None) for each in (stored, old))
    return mine == other


def _offered_by(document: AnyObject) -> tuple[str, str] | None:
    """The service broker of a class or a plan, and the class."""
    return (broker_name(document), class_name(document)) if isinstance(document, AnyClass | AnyPlan) else None


def differences(stored: AnyObject, old: AnyObject) -> str:
    """In which fields of the specification they differ; empty if in none that a user gives."""
    if isinstance(stored, Secret) and isinstance(old, Secret):
        return "" if stored.data == old.data else "the data differs"
    one, other = (getattr(each, "spec", None) for each in (stored, old))
    if one is None or other is None:
        return ""
    left, right = one.to_wire(), other.to_wire()
    fields = sorted(name for name in {*left, *right} - _SERVERS if left.get(name) != right.get(name))
    shown = ", ".join(fields[:_MOST])
    return f"differs in {shown}{' and others' if len(fields) > _MOST else ''}" if fields else ""


def told_differences(stored: AnyObject, old: AnyObject) -> Iterator[str]:
    """The same as remarks."""
    if found := differences(stored, old):
        yield f"what is here stays as it is; it {found}" if found.startswith("differs") else f"{found}; it stays"
