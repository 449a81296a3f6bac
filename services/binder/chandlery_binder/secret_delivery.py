"""Writes and deletes the Secret of a binding, and looks at it; within a transaction or outside, as the platform is."""

import asyncio
from collections.abc import Sequence

from chandlery.lookup.broker_credentials import secret_values
from chandlery.model.faults import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.protocol import PlatformSession, PlatformView, SecretNotOwned
from chandlery.reconcile.kubectl_commands import delete_secret
from chandlery.reconcile.reconcile_result import DeleteSecret, WriteSecret, secret_key
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.binding_remedies import create_anew, mend_sources
from chandlery_binder.facts.binding_snapshot import InjectionProblem, SecretState
from chandlery_binder.secret.growing_secret import LARGEST_BYTES
from chandlery_binder.secret.secret_projection import ProjectionFault, project, secret_name, secret_of, source_names


def secret_place(binding: ServiceBinding) -> tuple[str, str]:
    """Namespace and name of the Secret."""
    return (binding.metadata.namespace or "", secret_name(binding))


async def inject(
    platform: PlatformSession, binding: ServiceBinding, credentials: JsonObject
) -> InjectionProblem | None:
    """Write the credentials into the Secret, or say why it cannot be done.

    Raises:
        Conflict: somebody made a Secret of that name at the same moment; the next time it can be seen.
    """
    namespace = binding.metadata.namespace or ""
    try:
        data = await _projected(platform, binding, credentials)
        await platform.carry_out(WriteSecret(secret_of(binding, data)))
    except ProjectionFault as fault:
        return _unprojectable(binding, fault)
    except SecretNotOwned as fault:
        return InjectionProblem(fault.message, secret_key(namespace, secret_name(binding)))
    except (Forbidden, Invalid) as fault:
        # By the key its namespace is followed, so that it is seen when that opts in, or the one in the way is gone.
        return InjectionProblem(fault.message, secret_key(namespace, secret_name(binding)))
    except NotFound as fault:
        return InjectionProblem(fault.message)
    except AlreadyExists as fault:
        raise Conflict(fault.message) from fault
    return None


async def eject(platform: PlatformView, binding: ServiceBinding) -> str | None:
    """Delete the Secret if it is this binding's own, or say why it cannot be done."""
    meta = binding.metadata
    try:
        await platform.withdraw(DeleteSecret(meta.namespace or "", secret_name(binding), meta.uid or ""))
    except (Forbidden, Invalid) as fault:
        return f"Error ejecting binding: {fault.message}"
    return None


async def secret_state(
    platform: PlatformView, binding: ServiceBinding, delivered: JsonObject | None, *, is_shared: bool
) -> SecretState:
    """What has become of the Secret; `delivered` is the copy of what was given, if one was kept.

    `is_shared` says that others may add keys of their own, as in a cluster, where each manager owns what it applies.
    """
    meta = binding.metadata
    try:
        secret = await platform.read_secret(meta.namespace or "", secret_name(binding))
    except Forbidden:
        # Nobody lets us look any more. What was delivered is not lost for that, and nothing could be written either.
        return SecretState.INTACT
    if secret is None:
        return SecretState.MISSING
    if not any(owner.controller and owner.uid == meta.uid for owner in secret.metadata.owner_references or ()):
        return SecretState.FOREIGN
    if secret.sealed is not None:
        return SecretState.MISSING
    if delivered is None:
        return SecretState.INTACT
    try:
        wanted = await _projected(platform, binding, delivered)
    except ProjectionFault:
        # It could not be written now; as it is, it is better than none.
        return SecretState.INTACT
    found = secret.data or {}
    is_intact = wanted.items() <= found.items() if is_shared else wanted == found
    return SecretState.INTACT if is_intact else SecretState.CHANGED


def _unprojectable(binding: ServiceBinding, fault: ProjectionFault) -> InjectionProblem:
    """Neither the credentials nor the specification will ever change, but another Secret that is merged in may."""
    keys = tuple(secret_key(binding.metadata.namespace, name) for name in _own_sources(binding))
    if keys:
        is_advised = "kubectl " in fault.message
        message = fault.message if is_advised else joined(fault.message, mend_sources(binding.metadata))
        return InjectionProblem(message, fault.waiting_for or keys[0], interests=keys)
    return InjectionProblem(joined(fault.message, create_anew(binding.metadata)), is_final=True)


def _own_sources(binding: ServiceBinding) -> Sequence[str]:
    try:
        return source_names(binding)
    except ProjectionFault:
        return ()


async def _projected(platform: PlatformView, binding: ServiceBinding, credentials: JsonObject) -> dict[str, str]:
    sources = await _sources(platform, binding)
    if not binding.spec.secret_transforms:
        return project(credentials, binding, sources)
    # A user's expressions over a broker's credentials: what there is to do is bounded, but may take a while.
    return await asyncio.to_thread(project, credentials, binding, sources)


async def _sources(platform: PlatformView, binding: ServiceBinding) -> dict[str, dict[str, bytes]]:
    sources: dict[str, dict[str, bytes]] = {}
    held, namespace = 0, binding.metadata.namespace or ""
    for name in dict.fromkeys(source_names(binding)):
        try:
            secret = await platform.read_secret(namespace, name)
        except Forbidden as fault:
            message = f"a Secret of addKeysFrom cannot be used: {fault.message}"
            raise ProjectionFault(message, waiting_for=secret_key(namespace, name)) from fault
        if secret is None:
            continue
        if secret.sealed is not None:
            place = f'"{namespace}/{name}"'
            remedy = f"delete it and create it again: {delete_secret(namespace, name)}"
            message = f"the Secret {place} of addKeysFrom cannot be decrypted; {remedy}"
            raise ProjectionFault(message, waiting_for=secret_key(namespace, name))
        sources[name] = dict(secret_values(secret))
        held += sum(map(len, sources[name].values()))
        if held > LARGEST_BYTES:
            raise ProjectionFault(
                f"the Secrets of addKeysFrom hold more than the {LARGEST_BYTES} bytes of a Secret in total"
            )
    return sources
