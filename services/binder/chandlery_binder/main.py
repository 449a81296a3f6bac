"""The binder's wiring."""

from chandlery.model.kinds import SERVICE_BINDING
from chandlery.runtime.resources import Resources
from chandlery.runtime.rounds import Rounds
from chandlery.runtime.service import Service
from chandlery.runtime.worker import Worker
from chandlery_binder.binding_reconciler import BindingReconciler


def _build(resources: Resources) -> Worker:
    return Worker(resources, {SERVICE_BINDING.kind: Rounds(BindingReconciler(resources), resources).handle})


BINDER = Service(
    name="binder", summary="Bind and unbind service instances, write credentials to Secrets.", build=_build
)
