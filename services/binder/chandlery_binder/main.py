"""The binder's wiring."""

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import SERVICE_BINDING
from chandlery.process.background import Beside
from chandlery.process.service import Running, Service
from chandlery.process.takeover import TakeoverRules
from chandlery.settings.settings import Settings
from chandlery_binder.binding_reconciler import BindingReconciler


def _build(resources: Resources) -> Running:
    worker = Worker(resources, {SERVICE_BINDING.kind: ReconcileLoop(BindingReconciler(resources), resources).handle})
    if resources.cluster is None:
        return worker
    from chandlery.engine.following.secret_watch import SecretWatch  # noqa: PLC0415 - standalone needs none of it

    return Beside(worker, SecretWatch(resources.database, resources.cluster, owner=resources.owner))


def _takeover(_settings: Settings) -> TakeoverRules:
    from chandlery_binder.taken_bindings import take_binding  # noqa: PLC0415 - for imports alone

    return TakeoverRules(takes={SERVICE_BINDING.kind: take_binding})


BINDER = Service(
    name="binder",
    summary="Bind and unbind service instances, write credentials to Secrets.",
    build=_build,
    takeover=_takeover,
)
