"""The bytes of a request's body, as many as an API server takes."""

from fastapi import Request

from chandlery_gateway.kube.status_objects import RequestTooLarge

_MOST_BYTES = 3 * 1024 * 1024


async def read_body(request: Request) -> bytes:
    """The whole body. Raises RequestTooLarge as soon as that is known."""
    if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
        raise RequestTooLarge(f"the request body may have at most {_MOST_BYTES} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise RequestTooLarge(f"the request body may have at most {_MOST_BYTES} bytes")
    return bytes(body)
