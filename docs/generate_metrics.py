# ruff: noqa: INP001 - a script
"""Writes `docs/metrics.md` from the metrics that the code declares.

python docs/generate_metrics.py            # write it
python docs/generate_metrics.py --check    # exit 1 if it is stale
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chandlery.telemetry.catalog import api_requests, broker_calls, database_use, message_flow, processes, work
from chandlery.telemetry.metric import Counter, Gauge, Metric

PAGE: Final = Path(__file__).with_name("metrics.md")
_ROOMS: Final[Sequence[tuple[str, Sequence[Metric]]]] = (
    ("Requests to the API", api_requests.EVERY),
    ("Work", work.EVERY),
    ("Calls to service brokers", broker_calls.EVERY),
    ("Outbox and bus", message_flow.EVERY),
    ("Database and keys", database_use.EVERY),
    ("Process", processes.EVERY),
)
_HEAD: Final = """\
# Metrics

<!-- Written by docs/generate_metrics.py from shared/chandlery/telemetry/catalog; edit there. -->

Every process tells these to Prometheus. Where they are read, and how a scrape is set up:
[Observability](observability.md). No label has the name of an object that users make, but for service brokers
(`namespace/name`, or `name` of a cluster-wide one). A label with too many values tells the rest together, as `other`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_room(title, metrics) for title, metrics in _ROOMS)])


def _room(title: str, metrics: Sequence[Metric]) -> str:
    rows = [
        f"| `{each.name}` | {_type(each)} | {_labels(each)} | {each.meaning} | {each.question} |" for each in metrics
    ]
    head = ["| name | type | labels | meaning | question it answers |", "|---|---|---|---|---|"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _type(metric: Metric) -> str:
    if isinstance(metric, Counter):
        return "counter"
    return "gauge" if isinstance(metric, Gauge) else "histogram"


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels) or "-"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or check it; the exit status."""
    parser = argparse.ArgumentParser(description="Writes docs/metrics.md from the metrics that the code declares.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print("docs/metrics.md is stale; write it with: python docs/generate_metrics.py", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
