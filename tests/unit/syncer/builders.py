"""Builders for what the syncer's pure functions read: brokers, catalogs, snapshots and answers. All have defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chandlery.model.objects.brokers import AnyBroker, BrokerStatus, ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.text.names import FINALIZER
from chandlery.osb.catalog.catalog_reading import read_catalog
from chandlery.osb.catalog.catalog_values import CatalogService
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.offering import Unresolved
from chandlery_syncer.absorb.broker_draft import BrokerResult
from chandlery_syncer.facts.broker_notes import BrokerMemory
from chandlery_syncer.facts.broker_snapshot import BrokerSnapshot
from tests.conformance.scripted.scripted_catalog import simple_catalog

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
URL = "http://broker.test"
NO_SECRET = Unresolved("ErrorGettingAuthCredentials", "the Secret is missing", "secret:ops/login")


def make_broker(
    *,
    namespace: str | None = None,
    generation: int = 1,
    deleted: bool = False,
    annotations: dict[str, str] | None = None,
    finalizers: tuple[str, ...] = (FINALIZER,),
    status: BrokerStatus | None = None,
    **spec: Any,
) -> AnyBroker:
    """A broker called `harbour`; namespaced if a namespace is given."""
    metadata = {
        "name": "harbour",
        "namespace": namespace,
        "uid": "broker-uid",
        "generation": generation,
        "annotations": annotations,
        "finalizers": list(finalizers) or None,
        "deletionTimestamp": NOW if deleted else None,
    }
    model = ServiceBroker if namespace else ClusterServiceBroker
    document = model.model_validate({"metadata": metadata, "spec": {"url": URL, **spec}})
    return document.model_copy(update={"status": status or BrokerStatus()})


def condition(
    status: ConditionStatus, reason: str, message: str = "", kind: ConditionType = ConditionType.READY
) -> Any:
    """One condition of yesterday."""
    return Condition(
        type=kind, status=status, reason=reason, message=message, last_transition_time=NOW - timedelta(days=1)
    )


def ready_status(*, fetched: timedelta = HOUR, generation: int = 1) -> BrokerStatus:
    """A broker whose catalog was fetched so long ago."""
    return BrokerStatus(
        conditions=(condition(ConditionStatus.TRUE, "FetchedCatalog"),),
        reconciled_generation=generation,
        last_catalog_retrieval_time=NOW - fetched,
    )


def failing_status(*, since: timedelta = HOUR, message: str = "before", failed: bool = False) -> BrokerStatus:
    """A broker that has been failing for so long."""
    ready = condition(ConditionStatus.FALSE, "ErrorFetchingCatalog", message)
    gave_up = condition(ConditionStatus.TRUE, "ErrorReconciliationRetryTimeout", "", ConditionType.FAILED)
    return BrokerStatus(
        conditions=(ready, gave_up) if failed else (ready,),
        operation_start_time=NOW - since,
        last_catalog_retrieval_time=NOW - timedelta(days=2),
    )


def make_snapshot(broker: AnyBroker | None = None, **fields: Any) -> BrokerSnapshot:
    """A snapshot of a broker that was never looked at, unless told otherwise."""
    return BrokerSnapshot(**{"broker": broker or make_broker(), "memory": BrokerMemory(), **fields})


def make_answer(verdict: Verdict, status: int | None = None, description: str | None = None, **more: Any) -> Answer:
    """An answer to a request for the catalog."""
    return Answer(verb=Verb.GET_CATALOG, verdict=verdict, status=status, description=description, **more)


def catalog(*services: dict[str, Any]) -> tuple[CatalogService, ...]:
    """The checked catalog with these services."""
    return read_catalog(simple_catalog(*services)).services


def shown(change: BrokerResult, kind: ConditionType = ConditionType.READY) -> tuple[str, str] | None:
    """Status and reason of a condition."""
    found = find_condition(change.document.status.conditions, kind)
    return (str(found.status), found.reason) if found else None


def reasons(change: BrokerResult) -> list[str]:
    """The reasons of the recorded events."""
    return [str(fact.reason) for fact in change.facts]
