"""Imports into the database of a fleet, on each backend in turn."""

from pathlib import Path

import pytest

from tests.integration.workers.fleet import Fleet
from tests.integration.workers.imports.importing import Importing


@pytest.fixture
def importing(fleet: Fleet, tmp_path: Path) -> Importing:
    return Importing(fleet, tmp_path)
