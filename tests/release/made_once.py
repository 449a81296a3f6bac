"""Something costly that all processes of a test run share: the first that asks makes it, the others wait for it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from machine.places import locked

_DONE: Final = "made"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of that name, which `make` has filled; nobody changes anything in it afterwards.

    When `make` raises, whoever asks next tries again in an empty folder.
    """
    base = factory.getbasetemp()
    top = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with locked(top / f"{name}.lock"):
        for number in range(100):
            place = top / f"{name}-{number}"
            if (top / f"{name}-{number}.{_DONE}").exists():
                return place
            if not place.exists():
                place.mkdir()
                make(place)
                (top / f"{name}-{number}.{_DONE}").touch()
                return place
    raise AssertionError(f"{name} could not be made, a hundred times over")
