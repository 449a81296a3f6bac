"""Reads the body of a request: never more, and never for longer, than is good for everybody else."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from chandlery_gateway.identity.audit.audit_event import note_body
from chandlery_gateway.kube.body.bodies import MOST_BODY_BYTES, RequestTooLarge
from chandlery_gateway.kube.printing.status_objects import RequestTimeout


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises RequestTooLarge, before reading if it is announced so, RequestTimeout also if the client hangs up in the
    middle of it, and what receiving raises.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MOST_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise _too_large()
    except ClientDisconnect:
        # Nobody is there to read it, but it is no failure of ours either.
        raise RequestTimeout("the client closed the connection before the request body was complete") from None
    payload = bytes(body)
    note_body(payload, request.headers.get("content-type", ""))
    return payload


class PatientReceive:
    """Receives the parts of a body; raises RequestTimeout when they are not all there in time."""

    __slots__ = ("_deadline", "_is_complete", "_receive", "_seconds")

    def __init__(self, receive: Receive, *, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._deadline: float | None = None
        self._is_complete = False

    async def __call__(self) -> Message:
        """The next part; after the last one, the news that the client has gone, whenever that is."""
        if self._is_complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(f"the request body did not arrive within {self._seconds:g} s") from None
        self._is_complete = not message.get("more_body", False)
        return message


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"Request entity too large: limit is {MOST_BODY_BYTES}")
