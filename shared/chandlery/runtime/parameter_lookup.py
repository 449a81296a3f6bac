"""Puts the parameters of an instance or a binding together, from its specification and from Secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chandlery.cluster.protocol import Cluster
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import secret_key
from chandlery.reconcile.parameters import Parameters, merge_parameters
from chandlery.runtime.broker_access import secret_values
from chandlery.store.database import UnitOfWork


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
) -> Parameters | ParametersFault:
    """The merged parameters, or why there are none; a fault for which a Secret is to blame has its wake-up key."""
    keys: dict[str, str] = {}
    try:
        parts = [await _read(unit, cluster, namespace, each.secret_key_ref) for each in sources if each.secret_key_ref]
        keys = {part.title: part.waiting_for for part in parts}
        return merge_parameters(inline, [(part.title, part.text) for part in parts])
    except ParametersFault as fault:
        key = fault.waiting_for or keys.get(fault.source or "")
        return ParametersFault(fault.message, source=fault.source, waiting_for=key)


async def _read(unit: UnitOfWork, cluster: Cluster[UnitOfWork], namespace: str, reference: SecretKeyReference) -> _Part:
    key, title = secret_key(namespace, reference.name), f'the Secret "{namespace}/{reference.name}" of parametersFrom'
    secret = await cluster.read_secret(unit, namespace, reference.name)
    if secret is None:
        raise ParametersFault(f"{title} does not exist", waiting_for=key)
    values = secret_values(secret)
    if reference.key not in values:
        raise ParametersFault(f'{title} has no key "{reference.key}"', waiting_for=key)
    return _Part(f'Secret "{namespace}/{reference.name}" key "{reference.key}"', values[reference.key], key)
