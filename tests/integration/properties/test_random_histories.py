"""No sequence of events leaks anything at a service broker, or leaves an object that cannot be deleted.

CHANDLERY_TEST_HISTORIES=2000 looks at so many histories, other ones each time.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chandlery.engine.rounds import round_calls
from tests.integration.properties.histories import Histories
from tests.integration.properties.inline_sqlite import inline_sqlite
from tests.integration.properties.world import Store
from tests.support.selection import IS_BRIEF

_WANTED = os.environ.get("CHANDLERY_TEST_HISTORIES")
_SETTINGS = settings(
    max_examples=int(_WANTED or (3 if IS_BRIEF else 60)),
    stateful_step_count=30,
    deadline=None,
    derandomize=_WANTED is None,
    database=None,
    report_multiple_bugs=False,
    # To explain failures it traces every line, which makes all histories three times as slow.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(0 if _WANTED else 180)
def test_no_history_leaks_anything_or_gets_stuck(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each history sets it anew; the tests that follow in this process are not to find it so.
    monkeypatch.setattr(round_calls, "_SLOW_CALL_SECONDS", round_calls._SLOW_CALL_SECONDS)
    Histories.store = Store(sqlite_template, tmp_path / "histories.db")
    with inline_sqlite():
        run_state_machine_as_test(Histories, settings=_SETTINGS)
