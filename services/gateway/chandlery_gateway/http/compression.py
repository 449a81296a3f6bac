"""Large answers are sent compressed to clients that take gzip, by the API server's measures. Watches never are."""

import asyncio
import gzip

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

_FROM_BYTES = 128 * 1024
_LEVEL = 1
"""The fastest: what is sent to the machine beside this one should not wait for its compression."""


async def compressed(request: Request, response: Response) -> Response:
    """The response as the client wants it; compressed beside the event loop."""
    if isinstance(response, StreamingResponse) or len(response.body) < _FROM_BYTES or not _takes_gzip(request):
        return response
    smaller = await asyncio.to_thread(gzip.compress, bytes(response.body), _LEVEL)
    response.body = smaller
    response.headers["Content-Length"] = str(len(smaller))
    response.headers["Content-Encoding"] = "gzip"
    response.headers.add_vary_header("Accept-Encoding")
    return response


def _takes_gzip(request: Request) -> bool:
    for clause in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = clause.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
