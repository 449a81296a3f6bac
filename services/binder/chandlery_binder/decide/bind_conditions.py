"""Under which conditions a bind may be sent, be it the first or one that replaces credentials. Pure."""

from dataclasses import dataclass

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, find_condition, is_true
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters.parameter_schemas import violations
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.reconcile_result import Refuse, Wait, bindings_key, instance_key, secret_key
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


@dataclass(frozen=True)
class Bindable:
    """An instance that can be bound, and what it is an instance of."""

    instance: ServiceInstance
    offering: Offering


def bindable(snapshot: BindingSnapshot) -> Bindable | Wait | Refuse:
    """The instance if it can be bound now, or what is in the way (OSB v2.17, "Binding" and `instance_usable`)."""
    binding, instance, offering = snapshot.binding, snapshot.instance, snapshot.offering
    if instance is None:
        name = binding.spec.instance_ref.name
        message = f'The binding references a ServiceInstance "{name}" that {snapshot.why_no_instance}'
        return _wait_for_instance(binding, BindingReason.NO_SUCH_INSTANCE, message)
    if instance.metadata.deletion_timestamp is not None:
        return _not_ready(binding, "is being deleted")
    if offering is None:
        message = f'The ServiceInstance "{instance.metadata.name}" has not found its class and plan yet'
        return _wait_for_instance(binding, BindingReason.INSTANCE_UNRESOLVED, message)
    if isinstance(offering, Unresolved):
        return offering.wait
    if not offering.is_bindable:
        plan, service_class = offering.plan.spec.external_name, offering.service_class.spec.external_name
        message = f'The plan "{plan}" of the class "{service_class}" is not bindable'
        return Refuse(BindingReason.NOT_BINDABLE, message)
    if snapshot.is_instance_foreign:
        return _not_ready(binding, "has an external id that belongs to another instance of the service broker")
    if snapshot.instance_notes.is_unusable:
        return _not_ready(binding, "cannot be used: its service broker accepts no new bindings to it")
    if not is_true(instance.status.conditions, ConditionType.READY):
        return _not_ready(binding, _why_not_ready(instance))
    if instance.status.async_op_in_progress:
        # OSB v2.17, "Blocking Operations": most brokers would refuse it.
        message = f'The service broker is still updating the ServiceInstance "{instance.metadata.name}"'
        return _wait_for_instance(binding, BindingReason.ASYNC_OPERATION_IN_PROGRESS, message)
    return Bindable(instance, offering)


def sibling_first(snapshot: BindingSnapshot) -> Wait | None:
    """A broker that gives no key for its operations has one at a time (OSB v2.17, "Asynchronous Operations")."""
    sibling, meta = snapshot.busy_sibling, snapshot.binding.metadata
    if sibling is None:
        return None
    message = f'The service broker is still working on the ServiceBinding "{sibling}" of the same instance'
    key = bindings_key(meta.namespace, snapshot.binding.spec.instance_ref.name)
    return Wait(BindingReason.ASYNC_OPERATION_IN_PROGRESS, message, key)


def usable_parameters(snapshot: BindingSnapshot, offering: Offering) -> Parameters | Wait:
    """The parameters if the plan's schema allows them, or all that is wrong with them."""
    parameters = snapshot.parameters
    if isinstance(parameters, ParametersFault):
        return Wait(BindingReason.ERROR_WITH_PARAMETERS, parameters.message, parameters.waiting_for)
    schema = offering.plan.spec.service_binding_create_parameter_schema
    wrong = violations(schema, parameters.sent) if schema is not None else ()
    if not wrong:
        return parameters
    message = (
        f'The parameters do not fit the binding schema of the plan "{offering.plan.spec.external_name}": '
        f"{'; '.join(wrong)}. Correct the Secrets of parametersFrom, or delete the binding and create it "
        "again with other parameters"
    )
    return Wait(BindingReason.ERROR_WITH_PARAMETERS, message, next(iter(parameter_keys(snapshot.binding)), None))


def parameter_keys(binding: ServiceBinding) -> tuple[str, ...]:
    """Wake-up keys of the Secrets that parameters are taken from."""
    references = [source.secret_key_ref for source in binding.spec.parameters_from or ()]
    return tuple(secret_key(binding.metadata.namespace, reference.name) for reference in references if reference)


def _wait_for_instance(binding: ServiceBinding, reason: BindingReason, message: str) -> Wait:
    return Wait(reason, message, instance_key(binding.metadata.namespace, binding.spec.instance_ref.name))


def _not_ready(binding: ServiceBinding, why: str) -> Wait:
    name = binding.spec.instance_ref.name
    return _wait_for_instance(binding, BindingReason.INSTANCE_NOT_READY, f'The ServiceInstance "{name}" {why}')


def _why_not_ready(instance: ServiceInstance) -> str:
    ready = find_condition(instance.status.conditions, ConditionType.READY)
    return f"is not ready: {ready.reason}" if ready and ready.reason else "is not ready"
