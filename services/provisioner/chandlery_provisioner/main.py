"""The provisioner's wiring."""

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.process.service import Service
from chandlery.process.takeover import TakeoverRules
from chandlery.settings.settings import Settings
from chandlery_provisioner.instance_reconciler import InstanceReconciler


def _build(resources: Resources) -> Worker:
    return Worker(resources, {SERVICE_INSTANCE.kind: ReconcileLoop(InstanceReconciler(resources), resources).handle})


def _takeover(_settings: Settings) -> TakeoverRules:
    from chandlery_provisioner.taken_instances import take_instance  # noqa: PLC0415 - for imports alone

    return TakeoverRules(takes={SERVICE_INSTANCE.kind: take_instance})


PROVISIONER = Service(
    name="provisioner",
    summary="Provision, update and deprovision service instances.",
    build=_build,
    takeover=_takeover,
)
