"""The syncer's wiring."""

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER, NAMESPACE, SERVICE_BROKER
from chandlery.process.service import Running, Service
from chandlery_syncer.broker_reconciler import BrokerReconciler
from chandlery_syncer.garbage_collector import Collecting, GarbageCollector
from chandlery_syncer.namespace_reconciler import NamespaceReconciler


def _build(resources: Resources) -> Running:
    brokers = ReconcileLoop(BrokerReconciler(resources), resources).handle
    namespaces = ReconcileLoop(NamespaceReconciler(resources), resources).handle
    worker = Worker(
        resources, {CLUSTER_SERVICE_BROKER.kind: brokers, SERVICE_BROKER.kind: brokers, NAMESPACE.kind: namespaces}
    )
    return Collecting(worker, GarbageCollector(resources))


SYNCER = Service(name="syncer", summary="Keep the catalog: fetch what service brokers offer.", build=_build)
