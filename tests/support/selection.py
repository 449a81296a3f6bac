"""Which tests run: all in all their forms (`make test-all`), what every change needs (`make test`), the quick ones.

Where a fixture offers a test without servers and once more on PostgreSQL or RabbitMQ, the latter is a parameter made by
`on_servers`. `make test` takes it only where what the test is about differs between databases or buses: in the folders
below, and where the test is marked `both_backends`. `make test-fast` takes nothing that is marked `servers`.
"""

import os
from typing import Any, Final

import pytest

IS_BRIEF: Final = os.environ.get("CHANDLERY_TEST_BRIEFLY") == "1"
"""Of tests that go through the same on several forms of the whole, and of random ones, only some."""

_ABOUT_BACKENDS: Final = ("tests/integration/store/", "tests/integration/messaging/")
_NEED_SERVERS: Final = frozenset(
    {
        "amqp_url",
        "cable",
        "distributed_fleet",
        "either",
        "postgres",
        "postgres_databases",
        "postgresql_url",
        "quorum",
        "rabbit",
    }
)
"""Fixtures: a test that asks for one of them needs a server."""


def on_servers(form: str) -> Any:
    """A parameter of a fixture: the same as without servers, once more."""
    return pytest.param(form, marks=[pytest.mark.servers, pytest.mark.second_backend])


def mark_servers(item: pytest.Item) -> None:
    """Mark a test that asks for a server by a fixture."""
    if not _NEED_SERVERS.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.servers)


def is_enough_on_one(item: pytest.Item) -> bool:
    """Whether this is the second form of a test that has nothing to do with what differs between the two."""
    is_about_backends = item.nodeid.startswith(_ABOUT_BACKENDS) or item.get_closest_marker("both_backends") is not None
    return item.get_closest_marker("second_backend") is not None and not is_about_backends
