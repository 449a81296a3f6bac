"""uvicorn inside our own loop: listening, TLS, a clean end."""

import asyncio
import ipaddress
import math
import socket
from typing import Any

import uvicorn

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.accepting import AcceptingServer, Manners
from chandlery.process.http.bounded_connections import BoundedConnection

# Longer than clients keep an idle connection (client-go 90 s, aiohttp 15 s): the client closes first. A server that
# does so resets the request that a client is sending at that very moment.
_KEEP_ALIVE_SECONDS = 120


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ConfigurationFault that names the way out if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationFault(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another port"
        ) from error
    listener.setblocking(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a listener there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve_http(
    app: Any,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    manners: Manners = Manners(),  # noqa: B008 - it cannot be changed
    grace_seconds: float = 5.0,
    hurry: asyncio.Event | None = None,
) -> None:
    """Serve until `stop`, then let running requests end, for so long; not any longer once `hurry` is set."""
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        # Whichever library happens to be there: such a connection would be nobody's to count.
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        # Whoever sends X-Forwarded-For would be believed by us, and by the log.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace_seconds),
    )
    server = AcceptingServer(config, listener, manners)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    stopping = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {serving, stopping}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        hurrying = asyncio.ensure_future((hurry or asyncio.Event()).wait())
        await asyncio.wait({serving, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        server.force_exit = not serving.done()
        await serving
    finally:
        stopping.cancel()
