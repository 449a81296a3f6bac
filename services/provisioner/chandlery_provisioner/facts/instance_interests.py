"""What may change under an instance that rests: the wake-up keys of what it would want to know. Pure."""

from chandlery.model.objects.conditions import Conditions
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.reconcile_result import offering_key, secret_key


def interests_of(instance: ServiceInstance, conditions: Conditions, offering: Offering | Unresolved) -> tuple[str, ...]:
    """Keys in order; none for an instance that is to go."""
    if instance.metadata.deletion_timestamp is not None:
        return ()
    wants_parameters = any(each.reason == InstanceReason.ERROR_WITH_PARAMETERS for each in conditions)
    keys = set[str]()
    if instance.spec.watch_parameters_from or wants_parameters:
        keys |= secrets_of(instance)
    if isinstance(offering, Offering) and offering.plan.spec.maintenance_info is not None:
        # An upgrade may come to be offered.
        plan = offering.plan.metadata
        keys.add(offering_key(plan.namespace, plan.name))
    return tuple(sorted(keys))


def secrets_of(instance: ServiceInstance) -> set[str]:
    """Keys of the Secrets that parameters come from."""
    references = (source.secret_key_ref for source in instance.spec.parameters_from or ())
    return {secret_key(instance.metadata.namespace, reference.name) for reference in references if reference}
