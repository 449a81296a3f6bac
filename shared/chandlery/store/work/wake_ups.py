"""What one transaction has written that others wait for, gathered until its end.

Comes in: every object that `ObjectStore` inserts, changes or removes, as it was and as it is (`written`), and news that
no object tells (`bring`).
Goes out: commands for all who waited, with the last statements of the transaction, so that waker and news are committed
together. `wakes` finds the waiters, `reconcile/wake_keys` says which keys a write has.
Called by: `ObjectStore` and `WorkQueue` of the same unit; `UnitOfWork.flush`.

Two kinds of news need a look at what else is stored: a broker with another priority may be meant, or no more, by
everybody who asks for one of its classes by name; and an annotation of a namespace is told to the brokers that ask for
it, with the instances there. Both are looked up at the end, once.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Span, get_current_span

from chandlery.contracts.messages import Reconcile
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.reconcile_result import offering_key
from chandlery.reconcile.wake_keys import changed_annotations, is_told, reprioritized, woken_by
from chandlery.telemetry.tracing.traceparent import traceparent_of

if TYPE_CHECKING:
    from chandlery.store.objects.broker_facts import BrokerFacts
    from chandlery.store.objects.objects import ObjectStore
    from chandlery.store.work.wakes import WakeStore
    from chandlery.store.work.work_queue import WorkQueue

_SHARED: Final = 2
"""So many spans that have brought news, or more: none of them is the cause of all."""


class WakeUps:
    """The news of one transaction."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._causes: list[Span] = []
        self._known: set[tuple[str, str]] = set()
        self._reprioritized: dict[str, AnyBroker] = {}
        self._annotations: dict[str, frozenset[str]] = {}

    def written(self, before: AnyObject | None, after: AnyObject | None) -> None:
        """An object has come (`before` is None), changed or gone (`after` is None)."""
        self.bring(woken_by(before, after))
        if before is None or after is None:
            return
        if (broker := reprioritized(before, after)) is not None:
            self._reprioritized[broker.metadata.uid or ""] = broker
        if isinstance(after, Namespace) and (changed := changed_annotations(before, after)):
            name = after.metadata.name
            self._annotations[name] = self._annotations.get(name, frozenset()) | changed

    def bring(self, keys: Collection[str]) -> None:
        """News that no object tells."""
        if not keys:
            return
        self._keys.update(keys)
        span = get_current_span()
        if len(self._causes) < _SHARED and span not in self._causes:
            self._causes.append(span)

    def is_known_to(self, uid: str, key: str) -> None:
        """That object need not be woken by what this transaction writes under the key: it does so itself."""
        self._known.add((key, uid))

    async def flush(
        self, objects: "ObjectStore", work_queue: "WorkQueue", wakes: "WakeStore", *, brokers: "BrokerFacts"
    ) -> Sequence[Reconcile]:
        """Make due whoever waits for any of it; returns the commands for the outbox."""
        commands: list[Reconcile] = []
        for namespace, changed in sorted(self._annotations.items()):
            commands += await _tell_brokers(namespace, changed, brokers, work_queue)
        for broker in self._reprioritized.values():
            self._keys |= await _names_of_classes(broker, objects)
        commands += await wakes.enqueue_waiting(*self._keys, known=self._known, cause=self._cause)
        for noted in (self._keys, self._causes, self._known, self._reprioritized, self._annotations):
            noted.clear()
        return commands

    @property
    def _cause(self) -> str | None:
        """The span in which all of it was brought; None if several share the transaction."""
        one = len(self._causes) == 1
        return traceparent_of(self._causes[0].get_span_context()) if one else None


async def _tell_brokers(
    namespace: str, changed: frozenset[str], brokers: "BrokerFacts", work_queue: "WorkQueue"
) -> Sequence[Reconcile]:
    """Make those instances of a namespace due whose brokers are told one of these annotations of it."""
    wanted = await brokers.context_annotations(namespace)
    lanes = [lane for lane, prefixes in wanted.items() if is_told(prefixes, changed)]
    return await work_queue.enqueue_changed_in_namespace(kinds.SERVICE_INSTANCE.kind, namespace, lanes=lanes)


async def _names_of_classes(broker: AnyBroker, objects: "ObjectStore") -> set[str]:
    """Keys of all that the broker's classes are called: a catalog may have ten thousand, so nothing else is read."""
    kind = kinds.CLUSTER_SERVICE_CLASS if isinstance(broker, ClusterServiceBroker) else kinds.SERVICE_CLASS
    namespace = broker.metadata.namespace or ""
    called = await objects.called_by_broker(kind, broker.metadata.name, namespace=namespace)
    return {offering_key(namespace, each) for each in called}
