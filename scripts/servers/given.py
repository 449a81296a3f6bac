"""Servers the user gives by URL: asked whether they listen, otherwise left alone."""

import os
from typing import Final
from urllib.parse import SplitResult, urlsplit

from machine.console import MachineFault, say
from machine.ports import is_reachable
from servers.ledger import Kind

DEFAULT_PAIR: Final = "default"
VARIABLES: Final[dict[Kind, str]] = {
    "database": "CHANDLERY_TEST_DATABASE_URL",
    "amqp": "CHANDLERY_TEST_AMQP_URL",
}
_USUAL_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_POSTGRES_PORT: Final = 5432
_CONNECT_SECONDS: Final = 5.0


def given_urls(pair: str) -> dict[Kind, str]:
    """What the environment gives; pairs other than the default one are always private."""
    if pair != DEFAULT_PAIR:
        return {}
    return {kind: os.environ[name] for kind, name in VARIABLES.items() if os.environ.get(name)}


def check_given(kind: Kind, url: str) -> None:
    """Insist that a given server listens; whether it lets us in is for the tests to find out.

    Raises:
        MachineFault: it does not, or the URL has no host.
    """
    address = address_of(url)
    if not listens(url):
        raise MachineFault(f"nothing listens at {address}, given by {VARIABLES[kind]}")
    say(f"using {address}, given by {VARIABLES[kind]}")


def listens(url: str) -> bool:
    """Whether a connection is accepted at the URL's host and port."""
    parts = urlsplit(url)
    return bool(parts.hostname) and is_reachable(parts.hostname or "", _port(parts), seconds=_CONNECT_SECONDS)


def address_of(url: str) -> str:
    """Host and port of a URL, without the credentials beside them."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'no host'}:{_port(parts)}"


def _port(parts: SplitResult) -> int:
    return parts.port or _USUAL_PORTS.get(parts.scheme, _POSTGRES_PORT)
