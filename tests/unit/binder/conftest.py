"""Fixtures of the binder's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.binder.binder_fixture import Harbour, open_harbour


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    """A namespace with a ready instance, one binding to it, its broker, and the binder's loop."""
    async with open_harbour(tmp_path) as world:
        yield world
