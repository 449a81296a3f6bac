"""Writes and deletes the Secret of a binding. Called by `binding_reconciler.py` inside its two transactions."""

from chandlery.cluster.protocol import Cluster, SecretNotOwned
from chandlery.model.bindings import ServiceBinding
from chandlery.model.faults import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import secret_key
from chandlery.runtime.broker_access import secret_values
from chandlery.store.database import UnitOfWork
from chandlery_binder.binding_snapshot import InjectionProblem, SecretState
from chandlery_binder.secret_projection import ProjectionFault, project, secret_name, secret_of, source_names


async def inject(
    unit: UnitOfWork, cluster: Cluster[UnitOfWork], *, binding: ServiceBinding, credentials: JsonObject
) -> InjectionProblem | None:
    """Write the credentials into the Secret, or say why it cannot be done.

    Raises:
        Conflict: somebody made a Secret of that name at the same moment; in the next transaction it can be seen.
    """
    namespace = binding.metadata.namespace or ""
    try:
        sources = await _sources(unit, cluster, binding)
        await cluster.write_secret(unit, secret_of(binding, project(credentials, binding, sources)))
    except ProjectionFault as fault:
        return InjectionProblem(fault.message, fault.waiting_for)
    except SecretNotOwned as fault:
        return InjectionProblem(fault.message, secret_key(namespace, secret_name(binding)))
    except (NotFound, Forbidden, Invalid) as fault:
        return InjectionProblem(fault.message)
    except AlreadyExists as fault:
        raise Conflict(fault.message) from fault
    return None


async def eject(unit: UnitOfWork, cluster: Cluster[UnitOfWork], binding: ServiceBinding) -> str | None:
    """Delete the Secret if it is this binding's own, or say why it cannot be done."""
    meta = binding.metadata
    try:
        await cluster.delete_secret(unit, meta.namespace or "", secret_name(binding), owner_uid=meta.uid or "")
    except (Forbidden, Invalid) as fault:
        return f"Error ejecting binding: {fault.message}"
    return None


async def secret_state(
    unit: UnitOfWork, cluster: Cluster[UnitOfWork], binding: ServiceBinding, delivered: JsonObject | None
) -> SecretState:
    """What has become of the Secret; `delivered` is the copy of what was given, if one was kept."""
    meta = binding.metadata
    secret = await cluster.read_secret(unit, meta.namespace or "", secret_name(binding))
    if secret is None:
        return SecretState.MISSING
    if not any(owner.controller and owner.uid == meta.uid for owner in secret.metadata.owner_references or ()):
        return SecretState.FOREIGN
    if delivered is None:
        return SecretState.INTACT
    try:
        wanted = project(delivered, binding, await _sources(unit, cluster, binding))
    except ProjectionFault:
        # It could not be written now; as it is, it is better than none.
        return SecretState.INTACT
    return SecretState.INTACT if (secret.data or {}) == wanted else SecretState.CHANGED


async def _sources(
    unit: UnitOfWork, cluster: Cluster[UnitOfWork], binding: ServiceBinding
) -> dict[str, dict[str, bytes]]:
    sources = {}
    for name in source_names(binding):
        secret = await cluster.read_secret(unit, binding.metadata.namespace or "", name)
        if secret is not None:
            sources[name] = dict(secret_values(secret))
    return sources
