"""Batches whose calls are all answered in the same turn of the loop, however busy the machine is."""

import pytest

from chandlery.engine.rounds import round_calls
from tests.support.waiting import SOON


@pytest.fixture(autouse=True)
def no_call_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine one might be; it would be announced, and recorded after the others."""
    monkeypatch.setattr(round_calls, "_SLOW_CALL_SECONDS", SOON)
