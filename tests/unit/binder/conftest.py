"""Fixtures of the binder's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.binder.binder_fixture import BinderFixture, open_binder


@pytest.fixture
async def binder(tmp_path: Path) -> AsyncIterator[BinderFixture]:
    """A namespace with a ready instance, one binding to it, its broker, and the binder's loop."""
    async with open_binder(tmp_path) as world:
        yield world
