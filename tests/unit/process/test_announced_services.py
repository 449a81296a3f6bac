"""What the environment says to libraries keeps no process from starting."""

import os
import subprocess
import sys

import pytest

START = """
from chandlery.process.service import every_service
from chandlery.process.choices.tracing_choice import make_tracing
from chandlery.settings.settings import Settings
services = sorted(each.name for each in every_service())
make_tracing(Settings(), service="gateway", owner="test", at_end=lambda _: None)
print(*services)
"""


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param(
            {"OTEL_PROPAGATORS": "b3,tracecontext"}, "OTEL_PROPAGATORS names b3, which is not", id="propagator"
        ),
        pytest.param(
            {"OTEL_TRACES_EXPORTER": "console", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"},
            "traces are not recorded: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be",
            id="limit",
        ),
    ],
)
def test_a_variable_that_a_library_cannot_use_is_told_and_ends_no_process(variables: dict[str, str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "binder gateway provisioner syncer"
    assert told in done.stdout + done.stderr
