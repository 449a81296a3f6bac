"""Puts the parameters of an instance or a binding together, from its specification and from Secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chandlery.lookup.broker_credentials import secret_values
from chandlery.model.faults import Forbidden, ParametersFault
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import SecretKeyReference, ServiceInstance
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.kubectl_commands import create_secret, delete_secret, edit_secret
from chandlery.reconcile.parameters.parameters import Parameters, merge_parameters
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.store.database import UnitOfWork

LARGEST_BYTES: Final = 1 << 20
"""What all sources together may hold: as much as one Secret."""


@dataclass(frozen=True)
class _Part:
    """One key of a Secret. `title` is shown, `text` never."""

    title: str
    text: bytes = field(repr=False)
    waiting_for: str
    correction: str
    """The command that corrects what the Secret holds."""


async def find_parameters(
    unit: UnitOfWork,
    platform: PlatformView,
    *,
    owner: ServiceInstance | ServiceBinding,
    defaults: JsonObject | None = None,
) -> Parameters | ParametersFault:
    """The owner's merged parameters, or why there are none; a fault for which a Secret is to blame has its key."""
    namespace, spec = owner.metadata.namespace or "", owner.spec
    references = [each.secret_key_ref for each in spec.parameters_from or () if each.secret_key_ref]
    by_title: dict[str, _Part] = {}
    try:
        parts = await _parts(platform, namespace, references)
        by_title = {part.title: part for part in parts}
        merged = merge_parameters(spec.parameters, [(part.title, part.text) for part in parts], defaults=defaults)
        return unit.checksums.of(owner).keyed(merged)
    except ParametersFault as fault:
        wrong = by_title.get(fault.source or "")
        if wrong is None:
            return fault
        message = f"{fault.message}. Correct it: {wrong.correction}"
        return ParametersFault(message, source=fault.source, waiting_for=wrong.waiting_for)


async def _parts(platform: PlatformView, namespace: str, references: Sequence[SecretKeyReference]) -> list[_Part]:
    """Each Secret is read once, however many of its keys are asked for, and all together hold no more than one may."""
    # All of them before the first is judged: a platform that is far away is then asked for all in one go.
    names = dict.fromkeys(reference.name for reference in references)
    secrets = {name: await _read(platform, namespace, name) for name in names}
    values: dict[str, Mapping[str, bytes] | None] = {}
    parts, held = list[_Part](), 0
    for reference in references:
        if reference.name not in values:
            secret = secrets[reference.name]
            values[reference.name] = None if secret is None else _readable(namespace, secret)
        part = _part(namespace, reference, values[reference.name])
        parts.append(part)
        held += len(part.text)
        if held > LARGEST_BYTES:
            message = f"The Secrets of parametersFrom hold more than {LARGEST_BYTES} bytes of parameters in total"
            raise ParametersFault(message, waiting_for=part.waiting_for)
    return parts


async def _read(platform: PlatformView, namespace: str, name: str) -> Secret | None:
    try:
        return await platform.read_secret(namespace, name)
    except Forbidden as fault:
        # It has the command by which whoever runs the namespace lets us read it.
        message = f"A Secret of parametersFrom cannot be used: {fault.message}"
        raise ParametersFault(message, waiting_for=secret_key(namespace, name)) from fault


def _readable(namespace: str, secret: Secret) -> Mapping[str, bytes]:
    if secret.sealed is None:
        return secret_values(secret)
    name = secret.metadata.name
    message = f'The Secret "{namespace}/{name}" of parametersFrom cannot be decrypted; delete it and create it again'
    way_out = f"{message}: {delete_secret(namespace, name)}"
    raise ParametersFault(way_out, waiting_for=secret_key(namespace, name))


def _part(namespace: str, reference: SecretKeyReference, values: Mapping[str, bytes] | None) -> _Part:
    name, key = reference.name, secret_key(namespace, reference.name)
    title = f'The Secret "{namespace}/{name}" of parametersFrom'
    if values is None:
        way_out = f"Create it: {create_secret(namespace, name, reference.key)}"
        raise ParametersFault(f"{title} does not exist. {way_out}", waiting_for=key)
    if reference.key not in values:
        way_out = f"Add it: {edit_secret(namespace, name)}"
        raise ParametersFault(f'{title} has no key "{reference.key}". {way_out}', waiting_for=key)
    title = f'Secret "{namespace}/{name}" key "{reference.key}"'
    return _Part(title, values[reference.key], waiting_for=key, correction=edit_secret(namespace, name))
