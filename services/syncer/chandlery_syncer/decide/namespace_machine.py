"""The state machine of a namespace that is to go: what is in it goes first. Pure; `namespace_reconciler.py` acts.

Bindings before instances before brokers, since each needs the next for its own deletion; Secrets, events and service
accounts after them, since all the others use them; roles at last, and when there is no object left the operation
history.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace, NamespaceSpec
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.reconcile.deletion import is_removed_at_once
from chandlery.reconcile.reconcile_result import Finish, Idle, ReconcileResult, Requeue
from chandlery.reconcile.wake_keys import woken_by
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_syncer.decide.namespace_conditions import waiting_conditions

STAGES: Final[tuple[tuple[Kind, ...], ...]] = (
    (kinds.SERVICE_BINDING,),
    (kinds.SERVICE_INSTANCE,),
    (kinds.SERVICE_BROKER,),
    # Left behind only where a user took a broker's finalizer away.
    (kinds.SERVICE_PLAN, kinds.SERVICE_CLASS),
    (kinds.SECRET, kinds.EVENT, kinds.SERVICE_ACCOUNT),
    # Until there is nothing left to look at, people may look.
    (kinds.ROLE_BINDING, kinds.ROLE),
)
"""What goes together. A stage begins when nothing is left of the one before."""
BATCH: Final = 500
"""Objects that one transaction deletes."""

NamespaceResult = ReconcileResult[Namespace]


@dataclass(frozen=True, kw_only=True)
class NamespaceSnapshot:
    """All that `decide` and the outcomes may know."""

    namespace: Namespace
    contents: tuple[AnyObject, ...] = ()
    """The objects of the first stage that has any; looked at only when the namespace is to go."""
    remaining: Mapping[Kind, int] = field(default_factory=dict)
    """How many objects of each kind the namespace holds; counted only when there is nothing to do but wait."""
    is_history_left: bool = False
    """Whether there is more of its operation history than one transaction takes away; that goes last."""
    attempt: int = 0


@dataclass(frozen=True)
class DeleteContents:
    """Begin to delete these objects, and look again."""

    objects: tuple[AnyObject, ...]


@dataclass(frozen=True)
class AwaitContents:
    """All has been asked to go and something is still there. The first of it wakes the namespace."""

    waiting_for: str | None


Action = Idle | DeleteContents | AwaitContents | Finish


def decide(snapshot: NamespaceSnapshot) -> Action:
    """What is to be done with the namespace now."""
    if snapshot.namespace.metadata.deletion_timestamp is None:
        return Idle()
    if not snapshot.contents:
        return DeleteContents(()) if snapshot.is_history_left else Finish()
    untouched = [each for each in snapshot.contents if is_untouched(each)]
    return DeleteContents(tuple(untouched[:BATCH])) if untouched else AwaitContents(_key(snapshot))


def idle(snapshot: NamespaceSnapshot) -> NamespaceResult:
    """Nothing to do."""
    return ReconcileResult(document=snapshot.namespace, next=Requeue())


def deleted(snapshot: NamespaceSnapshot, now: datetime) -> NamespaceResult:
    """Look again at once: there may be more, or the next stage may begin."""
    return ReconcileResult(document=_terminating(snapshot.namespace), next=Requeue(due_at=now))


def wait(snapshot: NamespaceSnapshot, action: AwaitContents, now: datetime) -> NamespaceResult:
    """Come back when woken, or after a while all the same."""
    attempt = snapshot.attempt + 1
    following = Requeue(due_at=now + DEPENDENCIES.delay(attempt), attempt=attempt, waiting_for=action.waiting_for)
    document = _terminating(snapshot.namespace)
    conditions = waiting_conditions(
        document.status.conditions or (), remaining=snapshot.remaining, held=snapshot.contents, now=now
    )
    status = document.status.model_copy(update={"conditions": conditions})
    return ReconcileResult(document=document.model_copy(update={"status": status}), next=following)


def finish(snapshot: NamespaceSnapshot) -> NamespaceResult:
    """The marker goes, and the namespace with it."""
    document = _terminating(snapshot.namespace).model_copy(update={"spec": NamespaceSpec()})
    return ReconcileResult(document=document, next=Requeue(), is_finished=True)


def is_untouched(document: AnyObject) -> bool:
    """Whether there is something to do about the object: ask it to go, or remove what nobody holds."""
    return document.metadata.deletion_timestamp is None or is_removed_at_once(document)


def _key(snapshot: NamespaceSnapshot) -> str | None:
    return next(iter(woken_by(snapshot.contents[0], None)), None)


def _terminating(namespace: Namespace) -> Namespace:
    status = namespace.status.model_copy(update={"phase": "Terminating"})
    return namespace.model_copy(update={"status": status})
