"""Ports on the loopback interface: finding free ones, and asking whether somebody listens."""

import random
import socket
from collections.abc import Sequence
from typing import Final

from machine.console import MachineFault

LOOPBACK: Final = "127.0.0.1"
# Below the range Linux gives to outgoing connections, so that no client is handed the port of a stopped server.
_FIRST, _LAST = 20_000, 32_000
_TRIES: Final = 500


def free_ports(count: int, *, preferred: Sequence[int] = ()) -> list[int]:
    """`count` different ports nobody listens on, the `preferred` ones if they are still free.

    Raises:
        MachineFault: none found, which means that something is wrong with the loopback interface.
    """
    if len(preferred) == count and all(_is_free(port) for port in preferred):
        return list(preferred)
    found: list[int] = []
    for _ in range(_TRIES):
        port = random.randint(_FIRST, _LAST)
        if port not in found and _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise MachineFault(f"no free port on {LOOPBACK} between {_FIRST} and {_LAST}")


def is_reachable(host: str, port: int, *, seconds: float = 1.0) -> bool:
    """Whether a TCP connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        # Servers set this option too; without it a port that has just been given back looks taken for a minute.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
