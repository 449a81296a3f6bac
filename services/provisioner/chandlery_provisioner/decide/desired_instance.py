"""How the desired state of an instance becomes a request, or why it does not: part of the machine. Pure."""

from dataclasses import replace

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.version_matrix import knows_field
from chandlery.reconcile.parameters.parameter_schemas import violations
from chandlery.reconcile.parameters.parameters import Parameters, parameters_to_update
from chandlery.reconcile.reconcile_result import Refuse, Wait, broker_key, offering_key
from chandlery_provisioner.facts.instance_checksums import context_digest
from chandlery_provisioner.facts.instance_snapshot import Action, AlreadyApplied, InstanceSnapshot, Provision, Update


def reach_desired_state(snapshot: InstanceSnapshot) -> Action:
    """Provision or update the instance, or say why not."""
    offering, parameters = snapshot.offering, snapshot.parameters
    if isinstance(offering, Unresolved):
        return offering.wait
    is_new = snapshot.instance.status.provision_status != "Provisioned"
    plan_changes = is_new or offering.plan.spec.external_id != snapshot.memory.plan_id
    if is_new and offering.broker.metadata.deletion_timestamp is not None:
        # Something new would only keep the broker from going.
        name = offering.broker.metadata.name
        key = broker_key(offering.broker.metadata.namespace, name)
        return Wait(InstanceReason.NO_SUCH_BROKER, f'The broker "{name}" is being deleted', key)
    if plan_changes and (removed := _removed(offering)):
        return removed
    if isinstance(parameters, ParametersFault):
        return Wait(InstanceReason.ERROR_WITH_PARAMETERS, parameters.message, parameters.waiting_for)
    if refused := _refused_version(snapshot, offering):
        return refused
    return _provision(snapshot, offering, parameters) if is_new else _change_to_desired(snapshot, offering, parameters)


def unprompted(snapshot: InstanceSnapshot) -> Action | None:
    """What an instance at rest asks for by itself: the parameters of a Secret, or a name of where it is, are others."""
    is_failed = is_true(snapshot.instance.status.conditions, ConditionType.FAILED)
    if isinstance(snapshot.offering, Unresolved):
        return None
    if isinstance(snapshot.parameters, ParametersFault):
        return None if is_failed else _unwatchable(snapshot, snapshot.parameters)
    checksum = snapshot.parameters.checksum
    has = snapshot.instance.status.external_properties
    is_tried = is_failed and checksum == snapshot.memory.last_attempted.checksum
    is_changed = checksum != ((has.parameter_checksum if has else None) or "")
    if snapshot.instance.spec.watch_parameters_from and is_changed and not is_tried:
        return reach_desired_state(snapshot)
    return reach_desired_state(snapshot) if not is_failed and _context_changes(snapshot, snapshot.offering) else None


def _unwatchable(snapshot: InstanceSnapshot, fault: ParametersFault) -> Action | None:
    """A Secret that is watched is gone or of no use: nobody would learn of it, for the instance goes on as it is."""
    if not snapshot.instance.spec.watch_parameters_from:
        return None
    message = f"{fault.message}. The instance keeps its current parameters until that is corrected"
    return Wait(InstanceReason.ERROR_WITH_PARAMETERS, message, fault.waiting_for)


def _provision(snapshot: InstanceSnapshot, offering: Offering, parameters: Parameters) -> Action:
    plan = offering.plan.spec
    schema = plan.instance_create_parameter_schema
    if schema is not None and (wrong := violations(schema, parameters.sent)):
        return _unfit(offering, wrong, schema="create")
    version = plan.maintenance_info.version if plan.maintenance_info else None
    known = version if knows_field(Verb.PROVISION, "maintenance_info", snapshot.api_version) else None
    call = Provision(offering.service_class.spec.external_id, plan.external_id, parameters.sent or None, known)
    return snapshot.unreachable or call


def _change_to_desired(snapshot: InstanceSnapshot, offering: Offering, parameters: Parameters) -> Action:
    update = _update(snapshot, offering, parameters)
    if offering.plan.spec.external_id != snapshot.memory.plan_id and (
        refused := _refused_plan_change(snapshot, offering)
    ):
        return refused
    if update.parameters is not None:
        schema = offering.plan.spec.instance_update_parameter_schema
        found = parameters_to_update(schema, update.parameters, differing=snapshot.differing)
        if found.wrong:
            return _unfit(offering, found.wrong, schema="update")
        update = replace(update, parameters=found.sent)
    return AlreadyApplied() if _is_nothing(snapshot, update, offering=offering) else snapshot.unreachable or update


def _update(snapshot: InstanceSnapshot, offering: Offering, parameters: Parameters) -> Update:
    memory, before = snapshot.memory, snapshot.instance.status.external_properties
    same_parameters = before is not None and (before.parameter_checksum or "") == parameters.checksum
    plan_id = offering.plan.spec.external_id
    # After an update of unknown fate nobody knows what the broker has: going back has to be said in full.
    same_plan = plan_id == memory.plan_id and memory.wanted_plan_id in ("", plan_id)
    return Update(
        offering.service_class.spec.external_id,
        memory.plan_id,
        None if same_plan else plan_id,
        None if same_parameters and not memory.wanted_plan_id else parameters.sent,
        _wanted_version(snapshot),
        before.maintenance_version if before else None,
    )


def _is_nothing(snapshot: InstanceSnapshot, update: Update, *, offering: Offering) -> bool:
    # Not every new generation is news for the broker. An update that repairs what is of no use always is.
    says = (update.plan_id, update.parameters, update.maintenance_version)
    is_asked_for = snapshot.instance.spec.update_requests > snapshot.memory.last_applied.update_requests
    is_in_doubt = snapshot.memory.is_unusable or bool(snapshot.memory.wanted_plan_id)
    is_silent = says == (None, None, None)
    return is_silent and not is_asked_for and not is_in_doubt and not _context_changes(snapshot, offering)


def _context_changes(snapshot: InstanceSnapshot, offering: Offering) -> bool:
    # OSB v2.17, "Service Offering Object", `allow_context_updates`.
    last_applied = snapshot.memory.last_applied.context
    if not (offering.service_class.spec.allow_context_updates and last_applied):
        return False
    is_there = snapshot.instance.status.provision_status == "Provisioned"
    return is_there and last_applied != context_digest(snapshot.context, snapshot.api_version)


def _wanted_version(snapshot: InstanceSnapshot) -> str | None:
    """The version to upgrade to; None if the instance has the one that is desired, or may have any."""
    desired, has = snapshot.instance.spec.maintenance_version, snapshot.instance.status.external_properties
    if not desired or not knows_field(Verb.UPDATE, "maintenance_info", snapshot.api_version):
        return None
    return None if has and has.maintenance_version == desired else desired


def _refused_version(snapshot: InstanceSnapshot, offering: Offering) -> Refuse | None:
    desired, info = _wanted_version(snapshot), offering.plan.spec.maintenance_info
    if desired is None or (info is not None and info.version == desired):
        return None
    plan = offering.plan.spec.external_name
    offers = f"offers version {info.version!r} now" if info else "does not offer versions"
    is_new = snapshot.instance.status.provision_status != "Provisioned"
    return Refuse(
        InstanceReason.PROVISION_FAILED if is_new else InstanceReason.UPDATE_FAILED,
        f"The plan {plan!r} {offers}, not {desired!r}; set spec.maintenanceVersion to what is offered, or leave it out",
    )


def _unfit(offering: Offering, wrong: tuple[str, ...], *, schema: str) -> Wait:
    plan = offering.plan
    message = (
        f"The parameters do not fit the {schema} schema of the plan {plan.spec.external_name!r}: {'; '.join(wrong)}"
    )
    # The schema may change, too.
    return Wait(
        InstanceReason.ERROR_WITH_PARAMETERS, message, offering_key(plan.metadata.namespace, plan.metadata.name)
    )


def _refused_plan_change(snapshot: InstanceSnapshot, offering: Offering) -> Refuse | None:
    # OSB v2.17, "Updating a Service Instance": the plan that the instance has decides, not the one that is wanted.
    current, service_class = snapshot.current_plan, offering.service_class.spec
    may_leave = replace(offering, plan=current).is_plan_updatable if current else service_class.plan_updatable
    if may_leave:
        return None
    plan = f"the plan {current.spec.external_name!r}" if current else "its plan"
    return Refuse(
        InstanceReason.UPDATE_FAILED,
        f"The class {service_class.external_name!r} does not allow plan changes from {plan}; set the plan "
        "back, or create another instance",
    )


def _removed(offering: Offering) -> Wait | None:
    service_class, plan = offering.service_class, offering.plan
    # A class or plan that comes back wakes who waits for its class by its name.
    key = offering_key(service_class.metadata.namespace, service_class.metadata.name)
    if service_class.status.removed_from_broker_catalog:
        message = f"The class {service_class.spec.external_name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_CLASS, message, key)
    if plan.status.removed_from_broker_catalog:
        message = f"The plan {plan.spec.external_name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_PLAN, message, key)
    return None
