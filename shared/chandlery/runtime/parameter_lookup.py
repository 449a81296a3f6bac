"""Puts the parameters of an instance or a binding together, from its specification and from Secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chandlery.cluster.protocol import Cluster
from chandlery.model.core import Secret
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import secret_key
from chandlery.reconcile.parameters import Parameters, merge_parameters
from chandlery.runtime.broker_access import secret_values
from chandlery.store.database import UnitOfWork

LARGEST_BYTES: Final = 1 << 20
"""What all sources together may hold: as much as one Secret."""


@dataclass(frozen=True)
class _Part:
    """One key of a Secret. `title` is shown, `text` never."""

    title: str
    text: bytes = field(repr=False)
    waiting_for: str


async def find_parameters(
    unit: UnitOfWork,
    cluster: Cluster[UnitOfWork],
    *,
    namespace: str,
    inline: JsonObject | None,
    sources: Sequence[ParametersFromSource],
    defaults: JsonObject | None = None,
) -> Parameters | ParametersFault:
    """The merged parameters, or why there are none; a fault for which a Secret is to blame has its wake-up key."""
    keys: dict[str, str] = {}
    try:
        parts = await _parts(unit, cluster, namespace, [each.secret_key_ref for each in sources if each.secret_key_ref])
        keys = {part.title: part.waiting_for for part in parts}
        merged = merge_parameters(inline, [(part.title, part.text) for part in parts], defaults=defaults)
        return unit.checksums.keyed(merged)
    except ParametersFault as fault:
        key = fault.waiting_for or keys.get(fault.source or "")
        return ParametersFault(fault.message, source=fault.source, waiting_for=key)


async def _parts(
    unit: UnitOfWork, cluster: Cluster[UnitOfWork], namespace: str, references: Sequence[SecretKeyReference]
) -> list[_Part]:
    """Each Secret is read once, however many of its keys are asked for, and all together hold no more than one may."""
    secrets: dict[str, Mapping[str, bytes] | None] = {}
    parts, held = list[_Part](), 0
    for reference in references:
        if reference.name not in secrets:
            secret = await cluster.read_secret(unit, namespace, reference.name)
            secrets[reference.name] = None if secret is None else _readable(namespace, secret)
        part = _part(namespace, reference, secrets[reference.name])
        parts.append(part)
        held += len(part.text)
        if held > LARGEST_BYTES:
            message = f"the Secrets of parametersFrom hold more than {LARGEST_BYTES} bytes of parameters together"
            raise ParametersFault(message, waiting_for=part.waiting_for)
    return parts


def _readable(namespace: str, secret: Secret) -> Mapping[str, bytes]:
    if secret.sealed is None:
        return secret_values(secret)
    key, place = secret_key(namespace, secret.metadata.name), f'"{namespace}/{secret.metadata.name}"'
    message = f"the Secret {place} of parametersFrom cannot be decrypted; delete it and create it anew"
    raise ParametersFault(message, waiting_for=key)


def _part(namespace: str, reference: SecretKeyReference, values: Mapping[str, bytes] | None) -> _Part:
    key, title = secret_key(namespace, reference.name), f'the Secret "{namespace}/{reference.name}" of parametersFrom'
    if values is None:
        command = f"kubectl get secrets -n {namespace}"
        raise ParametersFault(f"{title} does not exist; create it, or name one of: {command}", waiting_for=key)
    if reference.key not in values:
        raise ParametersFault(f'{title} has no key "{reference.key}"', waiting_for=key)
    return _Part(f'Secret "{namespace}/{reference.name}" key "{reference.key}"', values[reference.key], key)
