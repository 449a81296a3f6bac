"""Records what happened to an object as an Event of the cluster, where `kubectl describe` shows it.

Like client-go's recorder: what repeats is counted at the first one, and an object about which too much is told is
told about more rarely. https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from chandlery.model.faults import AlreadyExists, Forbidden, NotFound, Unavailable
from chandlery.model.objects.annotations import TRACE_ID
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import to_timestamp
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import MERGE_PATCH, ClusterClient
from chandlery.platform.kubernetes.faults import is_terminating
from chandlery.reconcile.reconcile_result import RecordEvent
from chandlery.telemetry.current_trace import current_trace_id

COMPONENT: Final = "service-catalog-controller-manager"
"""The reference's name for whoever records events."""
BURST: Final = 25
REFILL_SECONDS: Final = 300.0
_MOST_KNOWN: Final = 4096
_LONGEST_NAME: Final = 253
_FINGERPRINT_BYTES: Final = 8


@dataclass
class _Bucket:
    tokens: float
    seen_at: float


class EventRecorder:
    """One of these for each process: it keeps what it has told lately, within bounds."""

    def __init__(
        self,
        client: ClusterClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_seconds: float = 5.0,
    ) -> None:
        """`clock` is monotonic seconds, `now` what time it is. A round waits `timeout_seconds` for an event at most."""
        self._timeout_seconds = timeout_seconds
        self._client = client
        self._clock = clock
        self._now = now
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def record(self, write: RecordEvent) -> None:
        """Tell it, or count it. Raises Forbidden, Unavailable; a namespace that goes is told nothing more."""
        if not self._may_tell(write.about.metadata.uid or ""):
            return
        event = self._event(write.about, write.fact)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._told(event)
        except TimeoutError:
            raise Unavailable(f"the cluster has not taken it within {self._timeout_seconds:.0f} s") from None
        except NotFound:
            return
        except Forbidden as fault:
            if not is_terminating(fault):
                raise

    async def _told(self, event: JsonObject) -> None:
        name, path = event["metadata"]["name"], f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        if name in self._counts and await self._counted(f"{path}/{name}", event, self._counts[name] + 1):
            return
        try:
            await self._client.create(path, event)
            self._keep(name, 1)
        except AlreadyExists:
            # Of another process, or of this one long ago. The patch tells how often it was, and needs no right to get.
            moved = {"lastTimestamp": event["lastTimestamp"]}
            try:
                before = await self._client.patch(f"{path}/{name}", moved, content_type=MERGE_PATCH)
            except NotFound:
                return
            await self._counted(f"{path}/{name}", event, int(before.get("count") or 1) + 1)

    async def _counted(self, path: str, event: JsonObject, count: int) -> bool:
        """Whether the event was there to be counted: a cluster forgets them after an hour."""
        patch = {"count": count, "lastTimestamp": event["lastTimestamp"]}
        if annotations := event["metadata"].get("annotations"):
            patch["metadata"] = {"annotations": annotations}
        try:
            await self._client.patch(path, patch, content_type=MERGE_PATCH)
        except NotFound:
            self._counts.pop(event["metadata"]["name"], None)
            return False
        self._keep(event["metadata"]["name"], count)
        return True

    def _keep(self, name: str, count: int) -> None:
        self._counts[name] = count
        self._counts.move_to_end(name)
        while len(self._counts) > _MOST_KNOWN:
            self._counts.popitem(last=False)

    def _may_tell(self, uid: str) -> bool:
        now = self._clock()
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        self._buckets.move_to_end(uid)
        while len(self._buckets) > _MOST_KNOWN:
            self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.seen_at) / REFILL_SECONDS)
        bucket.seen_at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _event(self, about: AnyObject, fact: RecordedFact) -> JsonObject:
        meta, moment, trace_id = about.metadata, to_timestamp(self._now()), current_trace_id()
        metadata: JsonObject = {
            "name": _name(meta.name, meta.uid or "", fact),
            # Events about cluster-scoped objects live in `default`, as for every controller.
            "namespace": meta.namespace or "default",
        }
        if trace_id:
            # Of the last time: that is what is still to be found.
            metadata["annotations"] = {TRACE_ID: trace_id}
        involved = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": fact.reason,
            "message": fact.message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": "Warning" if fact.is_warning else "Normal",
        }


def _name(about: str, uid: str, fact: RecordedFact) -> str:
    """Equal events have equal names: the second is counted at the first."""
    parts = (uid, fact.reason, fact.message, "Warning" if fact.is_warning else "Normal")
    fingerprint = hashlib.blake2b("\0".join(parts).encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()
    return f"{about[: _LONGEST_NAME - 1 - len(fingerprint)].rstrip('.-')}.{fingerprint}"
