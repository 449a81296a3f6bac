"""How the whole suite is spread over processes, and what it runs on."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from chandlery.process.event_loop import EventLoop
from chandlery.process.logs.library_lines import LibraryLines
from tests.support.broker_places import BROKERS_OF_TESTS
from tests.support.selection import IS_BRIEF, is_enough_on_one, mark_servers

# Modules and ten thousand tests are made here, and none of them is garbage: looking for some takes a third of the time.
gc.disable()

# How long one example takes depends on what else the machine does; what is to be fast is watched elsewhere.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

_LONGEST_FIRST: Final = (
    "tests/release/",
    "tests/chaos/",
    "tests/integration/properties/",
    "tests/e2e/",
    "tests/conformance/",
    "tests/security/",
    "tests/integration/",
    "",
)
"""By what test ids begin with: short ones fill up at the end what the long ones leave."""


class OneBackendAtATime(LoadScopeScheduling):
    """A module's tests stay together, for they share what is costly to start; and within it those of one backend.

    pytest puts all tests of one backend before those of the next: no process changes between the two more than once.
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        parameters = test.partition("[")[2].split("-")
        backend = next((each for each in ("embedded", "servers") if each in parameters[0]), "")
        return f"{module} {backend}" if module.startswith("tests/conformance/") else module


def pytest_configure() -> None:
    """Called by pytest: what settings of this process say unless a test says otherwise."""
    os.environ.update(BROKERS_OF_TESTS)
    structlog.configure = _configure_for_a_test


_configure: Final = structlog.configure


def _configure_for_a_test(*given: Any, **options: Any) -> None:
    """A logger that is kept on its first use would go on as one test has configured it, whatever later ones say."""
    _configure(*given, **{**options, "cache_logger_on_first_use": False})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Called by pytest: a command that a test has run here has set up the logs, and later tests look at all of them."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root = logging.getLogger()
        root.handlers = [each for each in root.handlers if not isinstance(each, LibraryLines)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Called by pytest; last, because pytest itself puts tests together that share what is costly to start."""
    if IS_BRIEF:
        config.hook.pytest_deselected(items=[item for item in items if is_enough_on_one(item)])
        items[:] = [item for item in items if not is_enough_on_one(item)]
    items.sort(key=lambda item: next(at for at, start in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(start)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Called by pytest-xdist, if several processes run tests."""
    # The other order is by the number of tests, which says nothing of how long they take.
    config.option.loadscopereorder = False
    return OneBackendAtATime(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Called by pytest for each test, before `-m` chooses among them."""
    mark_servers(item)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Called by pytest-asyncio: the event loop of production."""
    return {"uvloop": EventLoop}


def pytest_collection_finish() -> None:
    """Called by pytest: what has been imported stays to the end, and the collector need not look at it each time."""
    gc.freeze()
    gc.enable()
