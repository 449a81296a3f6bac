"""The provisioner's wiring."""

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.process.service import Service
from chandlery_provisioner.instance_reconciler import InstanceReconciler


def _build(resources: Resources) -> Worker:
    return Worker(resources, {SERVICE_INSTANCE.kind: ReconcileLoop(InstanceReconciler(resources), resources).handle})


PROVISIONER = Service(name="provisioner", summary="Provision, update and deprovision service instances.", build=_build)
