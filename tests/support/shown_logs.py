"""A failure shows the logs of what took part: of every fixture with a method `log_tails`. For a folder's conftest."""

from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Called by pytest: attach the logs of every fixture that has some."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            tails: Any = getattr(value, "log_tails", None)
            if callable(tails):
                report.sections.extend((f"log of {name}", text) for name, text in tails().items())
    return report
