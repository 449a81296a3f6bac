"""The rules and the dashboards, read once, and the programs of Prometheus."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from machine.prometheus import Prometheus, prometheus
from tests.support.measured.promql import declared, parsed, result_labels

ROOT = Path(__file__).resolve().parents[4]
RULES = ROOT / "deploy/alerts/chandlery.rules.yaml"


@dataclass(frozen=True)
class Rules:
    """The alerts and the recorded series of the file."""

    alerts: list[dict[str, Any]]
    records: list[dict[str, Any]]

    @property
    def known(self) -> dict[str, frozenset[str]]:
        """What may be asked for in an alert: what is declared, and what is recorded."""
        known = declared()
        return known | {each["record"]: result_labels(parsed(each["expr"]), known) for each in self.records}


@pytest.fixture(scope="session")
def rules_file() -> Path:
    """Where they are."""
    return RULES


@pytest.fixture(scope="session")
def rules() -> Rules:
    """Alerts and recorded series."""
    every = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return Rules([each for each in every if "alert" in each], [each for each in every if "record" in each])


@pytest.fixture(scope="session")
def dashboards() -> dict[str, dict[str, Any]]:
    """Each dashboard by its uid."""
    read = [json.loads(path.read_text()) for path in sorted((ROOT / "deploy/dashboards").glob("*.json"))]
    return {each["uid"]: each for each in read}


@pytest.fixture(scope="session")
def programs() -> Prometheus:
    """Prometheus and promtool."""
    return prometheus()
