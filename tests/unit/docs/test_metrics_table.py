"""The table of metrics is as the declarations say, and these follow Prometheus' rules."""

import subprocess
from pathlib import Path

import pytest

from chandlery.telemetry.catalog.every_metric import EVERY_METRIC
from chandlery.telemetry.metric import Counter, Gauge, Histogram
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from docs import generate_metrics
from machine.prometheus import prometheus


def _page() -> str:
    """Each metric, used once."""
    metrics = PrometheusMetrics()
    for metric in EVERY_METRIC:
        labels = ["x"] * len(metric.labels)
        if isinstance(metric, Counter):
            metrics.count(metric, *labels)
        elif isinstance(metric, Gauge):
            metrics.set(metric, *labels, value=1)
        elif isinstance(metric, Histogram):
            metrics.observe(metric, *labels, value=0.1)
    return metrics.render()[0].decode()


def test_page_is_as_the_generator_writes_it() -> None:
    assert generate_metrics.main(["--check"]) == 0, "run: python docs/generate_metrics.py"


def test_generator_says_so_when_the_page_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "metrics.md"
    stale.write_text(generate_metrics.page() + "\n")
    monkeypatch.setattr(generate_metrics, "PAGE", stale)
    assert generate_metrics.main(["--check"]) == 1
    assert generate_metrics.main([]) == 0
    assert generate_metrics.main(["--check"]) == 0


def test_table_has_every_metric() -> None:
    assert [metric.name for metric in EVERY_METRIC if f"| `{metric.name}` |" not in generate_metrics.page()] == []


def test_promtool_finds_no_fault_with_any_of_them() -> None:
    command = [str(prometheus().promtool), "check", "metrics"]
    done = subprocess.run(command, input=_page(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_each_says_what_it_is_and_what_it_is_good_for() -> None:
    assert [each.name for each in EVERY_METRIC if not each.meaning.endswith(".") or "?" not in each.question] == []


def test_each_is_called_as_prometheus_wants_it() -> None:
    assert [each.name for each in EVERY_METRIC if not each.name.startswith("chandlery_")] == []
    assert [each.name for each in EVERY_METRIC if each.name.endswith("_total") != isinstance(each, Counter)] == []
