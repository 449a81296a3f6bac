"""What the chart brings for Prometheus and Grafana: the same files, whole, if they are asked for."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from machine.prometheus import Prometheus

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def kinds_of(objects: Objects, kind: str, part: str) -> dict[str, dict[str, Any]]:
    return {name: body for (each, name), body in objects.items() if each == kind and name.endswith(part)}


def test_chart_brings_neither_unless_asked(render: Render, required: dict[str, Any]) -> None:
    objects = render(required)
    assert not kinds_of(objects, "ConfigMap", "-dashboard")
    assert not [name for kind, name in objects if kind == "PrometheusRule" or name.endswith("-alerts")]


def test_chart_brings_every_dashboard_for_the_sidecar_of_grafana(
    render: Render, required: dict[str, Any], dashboards: dict[str, Any]
) -> None:
    made = kinds_of(render({**required, "dashboards": {"enabled": True}}), "ConfigMap", "-dashboard")
    brought = [json.loads(text) for body in made.values() for text in body["data"].values()]
    assert {each["uid"]: each for each in brought} == dashboards
    assert all(body["metadata"]["labels"]["grafana_dashboard"] == "1" for body in made.values())
    assert "demo-chandlery-overview-dashboard" in made


def test_chart_brings_the_rules_for_the_operator_of_prometheus(
    render: Render, required: dict[str, Any], rules_file: Path
) -> None:
    given = {"enabled": True, "labels": {"release": "prometheus"}}
    rule = render({**required, "alerts": given})["PrometheusRule", "demo-chandlery-alerts"]
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"] == yaml.safe_load(rules_file.read_text())


def test_chart_brings_the_rules_as_a_file_that_promtool_takes(
    render: Render, required: dict[str, Any], programs: Prometheus, tmp_path: Path
) -> None:
    base = "https://git.example.com/chandlery/blob/main/"
    given = {"enabled": True, "kind": "ConfigMap", "runbookBaseUrl": base}
    made = render({**required, "alerts": given})["ConfigMap", "demo-chandlery-alerts"]
    path = tmp_path / "chandlery.rules.yaml"
    path.write_text(made["data"]["chandlery.rules.yaml"])
    words = [str(programs.promtool), "check", "rules", str(path)]
    assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0
    groups = yaml.safe_load(path.read_text())["groups"]
    urls = [each["annotations"]["runbook_url"] for group in groups for each in group["rules"] if "alert" in each]
    assert len(urls) > 20
    assert all(url.startswith(f"{base}docs/troubleshooting.md#chandlery") for url in urls)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alerts": {"kind": "Secret"}},
        {"alerts": {"runbookBaseUrl": "somewhere"}},
        {"dashboards": {"labels": {"app.kubernetes.io/name": "mine"}}},
    ],
    ids=["kind", "url", "label"],
)
def test_chart_refuses_what_it_cannot_bring(render: Render, required: dict[str, Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError):
        render({**required, **wrong})
