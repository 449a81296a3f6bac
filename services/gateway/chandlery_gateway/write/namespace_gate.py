"""Looks at the namespace of a new object before it is stored, where namespaces are a cluster's.

Standalone a namespace is a row: the transaction that stores an object looks at it (`object_admission`). A cluster's is
asked for before a transaction is opened. One that goes in between is emptied by the cluster's namespace controller,
which looks until there is nothing left.
"""

from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.platform.protocol import NamespaceGate


async def check_namespace(gate: NamespaceGate | None, document: AnyObject) -> None:
    """Raises NotFound, Forbidden, Unavailable, as the gate does; without one, the transaction looks."""
    name = document.metadata.namespace
    if gate is not None and name and kind_of(document).namespaced:
        await gate.check_open(name)
