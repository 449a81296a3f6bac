"""The provisioner's wiring."""

from chandlery.model.kinds import SERVICE_INSTANCE
from chandlery.runtime.resources import Resources
from chandlery.runtime.rounds import Rounds
from chandlery.runtime.service import Service
from chandlery.runtime.worker import Worker
from chandlery_provisioner.instance_reconciler import InstanceReconciler


def _build(resources: Resources) -> Worker:
    return Worker(resources, {SERVICE_INSTANCE.kind: Rounds(InstanceReconciler(resources), resources).handle})


PROVISIONER = Service(name="provisioner", summary="Provision, update and deprovision service instances.", build=_build)
