"""The syncer's wiring: what it looks after follows from the platform.

Standalone it ends namespaces and collects garbage, too. In a Kubernetes cluster its controllers do both, through the
API, and know what we cannot: an owner may be a Deployment. See ADR 0060.
"""

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
    handlers = {CLUSTER_SERVICE_BROKER.kind: brokers, SERVICE_BROKER.kind: brokers}
    if resources.settings.platform != "standalone":
        return Worker(resources, handlers)
    namespaces = ReconcileLoop(NamespaceReconciler(resources), resources).handle
    worker = Worker(resources, {**handlers, NAMESPACE.kind: namespaces})
    return Collecting(worker, GarbageCollector(resources))


SYNCER = Service(name="syncer", summary="Keep the catalog: fetch what service brokers offer.", build=_build)
