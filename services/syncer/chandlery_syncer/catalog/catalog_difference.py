"""What has to be written so that the stored classes and plans are those desired. Pure; `catalog_writer.py` writes it.

Objects that are as they should be take no part, so an unchanged catalog costs no write.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from chandlery.model.objects.brokers import GROUP, AnyBroker
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import AnyClass, AnyPlan, ClusterServiceClass, ClusterServicePlan, OfferingStatus
from chandlery_syncer.catalog.catalog_objects import NO_OFFERINGS, Offerings
from chandlery_syncer.facts.broker_notes import Leftovers

AnyOffering = AnyClass | AnyPlan
Update = tuple[AnyOffering, AnyOffering]
"""What is stored, and what should be."""

_SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """What has to be done. `vanished` is stored and no longer offered."""

    creates: tuple[AnyOffering, ...] = ()
    updates: tuple[Update, ...] = ()
    vanished: Offerings = NO_OFFERINGS


@dataclass(frozen=True)
class Clash:
    """The catalog contradicts what is stored, so that none of it can be taken over."""

    problems: tuple[str, ...]
    others: tuple[str, ...] = ()
    """The brokers that have what this one offers."""

    @property
    def sentence(self) -> str:
        """All problems, or the first ten."""
        more = len(self.problems) - _SHOWN
        return "; ".join(self.problems[:_SHOWN]) + (f"; and {more} more problems" if more > 0 else "")


@dataclass(frozen=True)
class Retirement:
    """What becomes of vanished offerings: unused ones go, used ones are marked and stay."""

    marks: tuple[Update, ...]
    removals: tuple[AnyOffering, ...]
    leftovers: Leftovers


NOTHING_RETIRED = Retirement((), (), Leftovers())


def difference(desired: Offerings, stored: Offerings, *, is_whole: bool = True) -> Difference | Clash:
    """Compare what the broker offers with what is stored of this broker, by object name.

    Unless the catalog `is_whole`, nothing has vanished: what is missing may be what had to be left out.
    """
    known: dict[tuple[str, str], AnyOffering] = {_key(offering): offering for offering in _each(stored)}
    pairs = [(known.get(_key(offering)), offering) for offering in _each(desired)]
    problems = [problem for old, new in pairs if old is not None and (problem := _contradiction(old, new))]
    if problems:
        return Clash(tuple(problems))
    merged = [(old, _merged(old, new)) for old, new in pairs if old is not None]
    wanted = {_key(offering) for offering in _each(desired)}
    return Difference(
        creates=tuple(new for old, new in pairs if old is None),
        updates=tuple((old, new) for old, new in merged if new is not old),
        vanished=Offerings(
            tuple(each for each in stored.classes if is_managed(each) and _key(each) not in wanted),
            tuple(each for each in stored.plans if is_managed(each) and _key(each) not in wanted),
        )
        if is_whole
        else NO_OFFERINGS,
    )


def clash_with(broker: AnyBroker, taken: Collection[AnyOffering]) -> Clash:
    """Names that the broker's classes or plans would have, and that objects outside its catalog have already."""
    return Clash(
        tuple(
            f"{_title(each)} for Broker {broker.metadata.name!r} already exists for Broker {broker_name(each)!r}"
            for each in taken
        ),
        others=tuple(dict.fromkeys(broker_name(each) for each in taken)),
    )


def retired(vanished: Offerings, *, used: Leftovers) -> Retirement:
    """Unused offerings may go. A class stays as long as one of its plans does."""
    plans_left = [plan for plan in vanished.plans if plan.metadata.name in used.plans]
    needed = {*used.classes, *(class_name(plan) for plan in plans_left)}
    classes_left = [each for each in vanished.classes if each.metadata.name in needed]
    left: list[AnyOffering] = [*classes_left, *plans_left]
    staying = {_key(each) for each in left}
    return Retirement(
        marks=tuple((each, _marked(each)) for each in left if not each.status.removed_from_broker_catalog),
        # Plans first: nobody may see a plan without its class.
        removals=tuple(each for each in (*vanished.plans, *vanished.classes) if _key(each) not in staying),
        leftovers=Leftovers(
            classes=tuple(each.metadata.name for each in classes_left),
            plans=tuple(each.metadata.name for each in plans_left),
        ),
    )


def is_managed(offering: AnyOffering) -> bool:
    """Whether the catalog decides about the object, or a user has made it. Only cluster-wide ones tell."""
    if not isinstance(offering, ClusterServiceClass | ClusterServicePlan):
        return True
    owners = offering.metadata.owner_references or []
    return any(owner.controller and owner.api_version.startswith(GROUP) for owner in owners)


def broker_name(offering: AnyOffering) -> str:
    """The broker that offers it."""
    if isinstance(offering, ClusterServiceClass | ClusterServicePlan):
        return offering.spec.cluster_service_broker_name
    return offering.spec.service_broker_name


def class_name(plan: AnyPlan) -> str:
    """The object name of the plan's class."""
    if isinstance(plan, ClusterServicePlan):
        return plan.spec.cluster_service_class_ref.name
    return plan.spec.service_class_ref.name


def _each(offerings: Offerings) -> Iterator[AnyOffering]:
    yield from offerings.classes
    yield from offerings.plans


def _key(offering: AnyOffering) -> tuple[str, str]:
    return offering.kind, offering.metadata.name


def _title(offering: AnyOffering) -> str:
    return f"{offering.kind} {offering.metadata.name!r} ({offering.spec.external_name!r})"


def _contradiction(old: AnyOffering, new: AnyOffering) -> str | None:
    if old.spec.external_id != new.spec.external_id:
        return f"{_title(new)} already exists with the id {old.spec.external_id!r}, not {new.spec.external_id!r}"
    if isinstance(old, AnyPlan) and isinstance(new, AnyPlan) and class_name(old) != class_name(new):
        # OSB v2.17, "Service Plan Object": an id belongs to one plan of one offering for ever.
        return f"{_title(new)} has moved from the class {class_name(old)!r} to {class_name(new)!r}; it needs a new id"
    return None


def _merged(old: AnyOffering, new: AnyOffering) -> AnyOffering:
    """The desired object with the identity of the stored one and with what users have added to that; `old` if equal."""
    spec = new.spec
    if (defaults := old.spec.default_provision_parameters) is not None:
        spec = spec.model_copy(update={"default_provision_parameters": defaults})
    metadata = _merged_metadata(old.metadata, new.metadata)
    if spec != old.spec:
        metadata = metadata.model_copy(update={"generation": (old.metadata.generation or 1) + 1})
    elif metadata is old.metadata and not old.status.removed_from_broker_catalog:
        return old
    return old.model_copy(update={"metadata": metadata, "spec": spec, "status": OfferingStatus()})


def _merged_metadata(old: ObjectMeta, new: ObjectMeta) -> ObjectMeta:
    others = [owner for owner in old.owner_references or [] if not owner.controller]
    labels = {**(old.labels or {}), **(new.labels or {})}
    owners = [*others, *(new.owner_references or [])] or None
    if labels == old.labels and owners == old.owner_references:
        return old
    return old.model_copy(update={"labels": labels, "owner_references": owners})


def _marked(offering: AnyOffering) -> AnyOffering:
    status = offering.status.model_copy(update={"removed_from_broker_catalog": True})
    return offering.model_copy(update={"status": status})
