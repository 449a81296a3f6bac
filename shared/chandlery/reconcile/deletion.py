"""How the deletion of an object begins: by a user, along with a namespace, or because its owners are gone.

An object with finalizers is marked, and its worker is told; one without is simply removed. Kubernetes' rule.
"""

from datetime import datetime
from typing import TypeVar, cast

from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import DELETION_POLICIES, FOREGROUND, ORPHAN

DocumentT = TypeVar("DocumentT", bound=AnyObject)


def is_removed_at_once(document: AnyObject) -> bool:
    """Whether nobody has to agree before the object goes."""
    return not document.metadata.finalizers


def with_policy(document: DocumentT, policy: str | None) -> DocumentT:
    """The object with the finalizer that notes how its deletion is meant.

    `policy` is Kubernetes' `Background`, `Foreground` or `Orphan`; None leaves what the object says itself.
    """
    if policy is None:
        return document
    kept = [name for name in document.metadata.finalizers or () if name not in DELETION_POLICIES]
    asked = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
    metadata = document.metadata.model_copy(update={"finalizers": [*kept, *asked] or None})
    return cast("DocumentT", document.model_copy(update={"metadata": metadata}))


def marked_deleted(document: DocumentT, now: datetime) -> DocumentT:
    """The object with its deletion timestamp; one that was marked before stays as it is."""
    if document.metadata.deletion_timestamp is not None:
        return document
    marks = {"deletion_timestamp": now, "deletion_grace_period_seconds": 0}
    metadata = document.metadata.model_copy(update=marks)
    return cast("DocumentT", document.model_copy(update={"metadata": metadata}))
