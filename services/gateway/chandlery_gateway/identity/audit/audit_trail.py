"""The auditor of the gateway: asks the policy, makes entries of events, and hands them to the sinks.

Comes in: each request, before it acts (`admit`) and when it is answered (`record`).
Goes out: entries, to each sink. If the operator wants nothing done without an account (`refuses`), a request waits
before it acts until the entry that it was received is written, and is refused if that cannot be; and its answer waits
for the entry of its outcome. That one may fail without harm: that the request was allowed and about to act is known.
Called by: the pipeline. `audit_log.py` builds it from the settings.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chandlery.model.faults import Unavailable
from chandlery.process.aside import aside_if
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.audit_records import entry_of
from chandlery_gateway.identity.audit.policy.audit_policy import (
    COMPLETE,
    RECEIVED,
    STARTED,
    AuditPolicy,
    Level,
    Recording,
)
from chandlery_gateway.identity.audit.request_attributes import RequestAttributes, attributes_of
from chandlery_gateway.identity.audit.sinks.batched_sink import BatchedSink
from chandlery_gateway.kube.body.bodies import is_costly

_OK: Final = 200


class AuditTrail:
    """See Auditor."""

    def __init__(self, policy: AuditPolicy, sinks: Sequence[BatchedSink], *, refuses: bool) -> None:
        self.policy = policy
        """May be replaced at any time; what is under way goes on with the one before."""
        self._sinks = sinks
        self._refuses = refuses

    async def admit(self, event: AuditEvent) -> None:
        """See Auditor."""
        recording = self._recording(event)
        event.keeps_body = recording.level is Level.REQUEST
        if recording.level is Level.NONE or (RECEIVED in recording.omits and not self._refuses):
            return
        entry = entry_of(event, attributes_of(event), stage=RECEIVED, level=recording.level)
        await self._put(entry, durably=self._refuses)
        event.is_admitted = True

    async def record(self, event: AuditEvent) -> None:
        """See Auditor."""
        recording = self._recording(event)
        stage = STARTED if event.is_stream and not event.is_over else COMPLETE
        if recording.level is Level.NONE or stage in recording.omits:
            return
        entry = await aside_if(
            bool(event.body) and is_costly(event.body),
            lambda: entry_of(event, _shown(event), stage=stage, level=recording.level),
        )
        event.body = b""
        try:
            await self._put(entry, durably=self._refuses and event.is_admitted)
        except Unavailable:
            # It has acted, and that it was about to is on record. The entry waits for the sink like any other.
            return

    async def shown(self, event: AuditEvent, uids: Sequence[str]) -> None:
        """See Auditor. An event for each lot, so that nobody waits for the end of the watch to learn who has read."""
        event.shown += 1
        lot = replace(event, related_uids=list(uids), status=_OK)
        entry = entry_of(lot, attributes_of(event), stage=STARTED, level=self._recording(event).level)
        await self._put(replace(entry, name=f"{entry.name}-{event.shown}"), durably=self._refuses)

    def _recording(self, event: AuditEvent) -> Recording:
        # Once for each request, so that a policy that is replaced meanwhile tears none apart.
        if event.recording is None or event.recording_access is not event.access:
            event.recording = self.policy.recording(event.sender, attributes_of(event))
            event.recording_access = event.access
        return event.recording

    async def _put(self, entry: AuditEntry, *, durably: bool) -> None:
        if not durably:
            for sink in self._sinks:
                sink.put(entry)
            return
        results = await asyncio.gather(*(sink.put_durably(entry) for sink in self._sinks), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _shown(event: AuditEvent) -> RequestAttributes:
    """What the request was about; of a path that leads nowhere nothing but that."""
    if event.has_known_path:
        return attributes_of(event)
    return RequestAttributes(verb=event.method.lower(), path=event.path)
