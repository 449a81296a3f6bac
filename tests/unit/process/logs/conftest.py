"""The log of this process, set up by a test and put back after it."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

import pytest
import structlog

from chandlery.process.logs import logs, tally

Written = Callable[[], str]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """What was written to stderr since it was asked last; logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(logs, "_running", None)
    # Those of other tests may have something to tell yet.
    monkeypatch.setattr(tally, "_TALLIES", WeakSet())
    yield lambda: capsys.readouterr().err
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines(written: Written) -> Callable[[], list[dict[str, Any]]]:
    """The same, as what its JSON says."""
    return lambda: [json.loads(line) for line in written().splitlines()]
