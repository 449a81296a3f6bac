"""Has each request recorded when its answer begins, whoever makes the answer, and tells the client under which id.

`pipeline` puts an `AuditedSend` around what sends the answer. Thereby it does not matter whether a handler answers, the
router (404, 405) or nobody because there is no seat (429).
"""

from collections.abc import Awaitable
from typing import Final

from starlette.types import Message, Send

from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.auditor import Auditor

AUDIT_ID: Final = b"audit-id"
"""The header of answers in which Kubernetes tells the id, too."""
_FAILURES: Final = 400


class AuditedSend:
    """Sends the answer of one request, not before its event has been recorded."""

    __slots__ = ("_auditor", "_event", "_send", "is_recorded")

    def __init__(self, send: Send, auditor: Auditor, event: AuditEvent) -> None:
        self._send = send
        self._auditor = auditor
        self._event = event
        self.is_recorded = False

    def __call__(self, message: Message) -> Awaitable[None]:
        """See ASGI's `send`."""
        if message["type"] == "http.response.start":
            return self._begin(message)
        return self._send(message)

    async def _begin(self, message: Message) -> None:
        event = self._event
        event.status = message["status"]
        event.is_stream = event.is_stream and event.status < _FAILURES
        message["headers"] = [*message["headers"], (AUDIT_ID, event.audit_id.encode())]
        self.is_recorded = True
        await self._auditor.record(event)
        await self._send(message)
