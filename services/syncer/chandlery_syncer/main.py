"""The syncer's wiring: what it looks after follows from the platform.

Standalone it ends namespaces and collects garbage, too. In a Kubernetes cluster its controllers do both, through the
API, and know what we cannot: an owner may be a Deployment. See ADR 0060.
"""

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER, NAMESPACE, SERVICE_BROKER
from chandlery.process.background import Beside
from chandlery.process.service import Running, Service
from chandlery_syncer.broker_reconciler import BrokerReconciler
from chandlery_syncer.garbage_collector import GarbageCollector
from chandlery_syncer.gone_namespaces import GoneNamespaces
from chandlery_syncer.left_copies import LeftCopies
from chandlery_syncer.namespace_reconciler import NamespaceReconciler


def _build(resources: Resources) -> Running:
    brokers = ReconcileLoop(BrokerReconciler(resources), resources).handle
    handlers = {CLUSTER_SERVICE_BROKER.kind: brokers, SERVICE_BROKER.kind: brokers}
    if resources.namespaces is not None:
        gone = GoneNamespaces(resources.database, resources.namespaces, owner=resources.owner)
        left = LeftCopies(resources.database, owner=resources.owner)
        return Beside(Worker(resources, handlers), gone, left)
    namespaces = ReconcileLoop(NamespaceReconciler(resources), resources).handle
    worker = Worker(resources, {**handlers, NAMESPACE.kind: namespaces})
    return Beside(worker, GarbageCollector(resources))


SYNCER = Service(name="syncer", summary="Keep the catalog: fetch what service brokers offer.", build=_build)
