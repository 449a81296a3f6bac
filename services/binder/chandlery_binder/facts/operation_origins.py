"""Why something is done about a binding at its broker, and on whose behalf, for the operation history. Pure."""

from typing import Final

from chandlery.model.history.recorded_operations import OperationName, OperationReason
from chandlery.model.history.system_users import BINDER, PROVISIONER, SYNCER
from chandlery.reconcile.history.round_history import Origin
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot

_USUAL: Final = {
    OperationName.BIND: OperationReason.CREATED,
    OperationName.UNBIND: OperationReason.DELETED,
    OperationName.ROTATE: OperationReason.RENEWAL_DUE,
    OperationName.ORPHAN_MITIGATION: OperationReason.CREATION_FAILED,
}
_BY_SYSTEM: Final = {
    OperationReason.RENEWAL_DUE: BINDER,
    OperationReason.CREDENTIALS_EXPIRE: BINDER,
    OperationReason.CREDENTIALS_REPLACED: BINDER,
    OperationReason.CREATION_FAILED: BINDER,
    OperationReason.ROTATION_FAILED: BINDER,
    OperationReason.INSTANCE_DELETED: PROVISIONER,
    OperationReason.NAMESPACE_DELETED: SYNCER,
}


def origin_of(snapshot: BindingSnapshot, sent: OpenBindingRequest, name: OperationName) -> Origin:
    """Of an operation that a request begins, or is part of."""
    return _origin(snapshot, _reason(snapshot, sent, name))


def usual_origin(snapshot: BindingSnapshot, name: OperationName) -> Origin:
    """Of an operation of which no more is known by now; what the history was told at its beginning stays."""
    return _origin(snapshot, _USUAL[name])


def _origin(snapshot: BindingSnapshot, reason: OperationReason) -> Origin:
    user, spec = snapshot.binding.spec.user_info, snapshot.binding.spec
    author = (user.username if user else None) or ""
    return Origin(reason=reason, requested_by=_BY_SYSTEM.get(reason, author), instance_name=spec.instance_ref.name)


def _reason(snapshot: BindingSnapshot, sent: OpenBindingRequest, name: OperationName) -> OperationReason:
    is_beside = sent.purpose.traits.is_beside_ready
    match name:
        case OperationName.ORPHAN_MITIGATION:
            return OperationReason.ROTATION_FAILED if is_beside else OperationReason.CREATION_FAILED
        case OperationName.ROTATE:
            return _why_rotated(snapshot, sent)
        case OperationName.UNBIND:
            return OperationReason.CREDENTIALS_REPLACED if is_beside else _why_deleted(snapshot)
    return OperationReason.RETRY_REQUESTED if snapshot.is_retry_requested else OperationReason.CREATED


def _why_rotated(snapshot: BindingSnapshot, sent: OpenBindingRequest) -> OperationReason:
    if sent.rotation_request not in ("", snapshot.memory.rotation.seen):
        return OperationReason.ROTATION_REQUESTED
    is_renewal = snapshot.binding.status.renew_before is not None
    return OperationReason.RENEWAL_DUE if is_renewal else OperationReason.CREDENTIALS_EXPIRE


def _why_deleted(snapshot: BindingSnapshot) -> OperationReason:
    if snapshot.is_namespace_deleted:
        return OperationReason.NAMESPACE_DELETED
    instance = snapshot.instance
    is_taken_along = instance is not None and instance.metadata.deletion_timestamp is not None
    is_forced = snapshot.requested_actions.forces_deletion
    return OperationReason.INSTANCE_DELETED if is_taken_along and is_forced else OperationReason.DELETED
