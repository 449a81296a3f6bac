"""How the whole suite is spread over processes."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class OneTwinAtATime(LoadScopeScheduling):
    """A module's tests stay together, for they share what is costly to start; and within it those of one twin.

    pytest has put all tests of one twin before all of the next: so no process changes between the two more than once.
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        parameters = test.partition("[")[2].split("-")
        twin = next((each for each in ("embedded", "servers") if each in parameters[0]), "")
        return f"{module} {twin}" if module.startswith("tests/conformance/") else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Called by pytest-xdist, if several processes run tests."""
    return OneTwinAtATime(config, log)
