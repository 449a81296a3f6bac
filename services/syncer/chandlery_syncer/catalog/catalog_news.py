"""What a sync has changed, told to people: one event about the broker, and one about each offering kept or taken back.

Pure. Source: the reference removes classes and plans without a word, and people look for what has become of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.reasons import BrokerReason, OfferingReason
from chandlery_syncer.catalog.catalog_difference import AnyOffering, Difference, Retirement, class_name
from chandlery_syncer.facts.broker_notes import StoredCount

_SHOWN = 10

REMOVED = RecordedFact(
    OfferingReason.REMOVED,
    "The broker no longer offers it. Existing instances keep working. No new instances can be created, and "
    "it will be removed with its last instance",
    is_warning=True,
)
RETURNED = RecordedFact(OfferingReason.RETURNED, "The broker offers it again")


@dataclass(frozen=True, kw_only=True)
class CatalogNews:
    """What has been written."""

    difference: Difference
    retirement: Retirement
    is_first: bool
    """Whether nothing was stored before: then all is new, and nobody wants a list."""
    class_titles: Mapping[str, str]
    """Object name -> what people call the class."""

    @property
    def about_broker(self) -> tuple[RecordedFact, ...]:
        """At most one event with all that has changed."""
        if self.is_first:
            return ()
        titles = self.class_titles
        parts = [
            _part("added", self.difference.creates, titles),
            _part("changed", self.changed, titles),
            _part("offered again", self.returned, titles),
            _part("no longer offered but kept for instances", self.marked, titles),
            _part("removed", self.retirement.removals, titles),
        ]
        told = "; ".join(part for part in parts if part)
        return (RecordedFact(BrokerReason.CATALOG_CHANGED, f"The catalog has changed: {told}"),) if told else ()

    @property
    def about_offerings(self) -> tuple[tuple[AnyOffering, RecordedFact], ...]:
        """Events about what is still there to be looked at."""
        return (*((each, REMOVED) for each in self.marked), *((each, RETURNED) for each in self.returned))

    @property
    def returned(self) -> tuple[AnyOffering, ...]:
        """What had been marked as removed."""
        return tuple(new for old, new in self.difference.updates if old.status.removed_from_broker_catalog)

    @property
    def marked(self) -> tuple[AnyOffering, ...]:
        """What is marked as removed from now on."""
        return tuple(new for _, new in self.retirement.marks)

    @property
    def changed(self) -> tuple[AnyOffering, ...]:
        """What the broker describes in other words than before."""
        # Labels and owners are ours, not the broker's.
        return tuple(
            new
            for old, new in self.difference.updates
            if old.spec != new.spec and not old.status.removed_from_broker_catalog
        )


def remarks_facts(remarks: Sequence[str], left_out: Sequence[FieldProblem] = ()) -> tuple[RecordedFact, ...]:
    """At most one event with what is left out of a catalog, and what is odd about the rest."""
    if not remarks and not left_out:
        return ()
    told = [*(f"left out because of {problem.field}: {problem.message}" for problem in left_out), *remarks]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    message = f"The catalog is in use, with remarks: {'; '.join(told[:_SHOWN])}{more}"
    return (RecordedFact(BrokerReason.QUESTIONABLE_CATALOG, message, is_warning=True),)


def catalog_note(broker: AnyBroker, stored: StoredCount, left_out: Sequence[FieldProblem]) -> str:
    """What to add where a catalog was had and not everything is as people will expect; empty if there is nothing."""
    notes = []
    if not stored.classes and broker.spec.catalog_restrictions is not None:
        notes.append("Nothing is offered: the catalog is empty, or spec.catalogRestrictions exclude all of it.")
    elif not stored.classes:
        notes.append(
            "Nothing is offered: the broker's catalog is empty. Check the broker's configuration and spec.url."
        )
    if left_out:
        first = left_out[0]
        more = f", and {_count(len(left_out) - 1, 'more problem')}" if len(left_out) > 1 else ""
        where = f" -n {broker.metadata.namespace}" if broker.metadata.namespace else ""
        command = f"kubectl describe {broker.kind.lower()} {broker.metadata.name}{where}"
        notes.append(
            f"Parts of the catalog are left out because of {first.field}: {first.message}{more}; until "
            "that is corrected, nothing that the broker no longer offers is removed. To see the events: "
            f"{command}"
        )
    return " ".join(notes)


def with_other_upkeep(updates: Iterable[tuple[AnyOffering, AnyOffering]]) -> list[AnyPlan]:
    """The plans whose maintenance info has changed: their instances may be out of date, or no longer be."""
    return [
        new
        for old, new in updates
        if isinstance(old, AnyPlan)
        and isinstance(new, AnyPlan)
        and old.spec.maintenance_info != new.spec.maintenance_info
    ]


def _part(what: str, offerings: Sequence[AnyOffering], titles: Mapping[str, str]) -> str:
    if not offerings:
        return ""
    classes = [each.spec.external_name for each in offerings if isinstance(each, AnyClass)]
    plans = [_plan_title(each, titles) for each in offerings if isinstance(each, AnyPlan)]
    counts = [_count(len(names), noun) for names, noun in ((classes, "class"), (plans, "plan")) if names]
    names = [*classes, *plans]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{' and '.join(counts)} {what} ({', '.join(names[:_SHOWN])}{more})"


def _plan_title(plan: AnyPlan, titles: Mapping[str, str]) -> str:
    title = titles.get(class_name(plan))
    return f"{title}/{plan.spec.external_name}" if title else plan.spec.external_name


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
