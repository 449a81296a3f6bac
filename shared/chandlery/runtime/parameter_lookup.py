"""Reads the parameters that a specification takes from Secrets."""

from collections.abc import Sequence

from chandlery.cluster.protocol import Cluster
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ParametersFromSource
from chandlery.runtime.broker_access import secret_values
from chandlery.store.database import UnitOfWork


async def secret_parameters(
    unit: UnitOfWork, cluster: Cluster[UnitOfWork], namespace: str, sources: Sequence[ParametersFromSource]
) -> list[tuple[str, bytes]]:
    """The JSON texts, each with a name to show. Raises ParametersFault if a Secret or a key is missing."""
    found = []
    for source in sources:
        reference = source.secret_key_ref
        if reference is None:
            continue
        secret = await cluster.read_secret(unit, namespace, reference.name)
        if secret is None:
            raise ParametersFault(f'the Secret "{namespace}/{reference.name}" of parametersFrom does not exist')
        values = secret_values(secret)
        if reference.key not in values:
            raise ParametersFault(
                f'the Secret "{namespace}/{reference.name}" of parametersFrom has no key "{reference.key}"'
            )
        found.append((f'Secret "{namespace}/{reference.name}" key "{reference.key}"', values[reference.key]))
    return found
