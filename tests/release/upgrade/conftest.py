"""The release before this one, and servers, for the tests of upgrades."""

from collections.abc import Iterator

import pytest

from tests.chaos.counting.verdict import LANES
from tests.e2e.stacks.servers import ServerShare, remove_queues, server_share
from tests.release.packages import Environment
from tests.release.upgrade.previous_release import installed_release, previous_release


@pytest.fixture(scope="session")
def previous() -> Environment:
    """The newest release that this checkout comes after. Fails, with what helps, where it cannot be had."""
    return installed_release(previous_release())


@pytest.fixture
def share() -> Iterator[ServerShare]:
    """An empty database, and names of our own on RabbitMQ."""
    with server_share() as share:
        try:
            yield share
        finally:
            remove_queues(share, LANES)
