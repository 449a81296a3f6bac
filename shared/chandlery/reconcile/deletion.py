"""How the deletion of an object begins. The gateway calls it for users, the syncer for what a namespace takes along.

An object with finalizers is marked, and its worker is told; one without is simply removed. Kubernetes' rule.
"""

from datetime import datetime
from typing import TypeVar, cast

from chandlery.model.kinds import AnyObject

DocumentT = TypeVar("DocumentT", bound=AnyObject)


def is_removed_at_once(document: AnyObject) -> bool:
    """Whether nobody has to agree before the object goes."""
    return not document.metadata.finalizers


def marked_deleted(document: DocumentT, now: datetime) -> DocumentT:
    """The object with its deletion timestamp; one that was marked before stays as it is."""
    if document.metadata.deletion_timestamp is not None:
        return document
    marks = {"deletion_timestamp": now, "deletion_grace_period_seconds": 0}
    metadata = document.metadata.model_copy(update=marks)
    return cast("DocumentT", document.model_copy(update={"metadata": metadata}))
