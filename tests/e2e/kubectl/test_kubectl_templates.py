"""Templates render here as stock kubectl renders them: both are asked the same about the same document."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from chandlery.reconcile.json_path.json_path_nodes import JsonPathFault
from chandlery.reconcile.json_path.json_path_parsing import parse_template
from chandlery.reconcile.json_path.json_path_rendering import render
from tests.e2e.stacks.kubectl import kubectl_path
from tests.unit.reconcile.json_path.json_path_cases import CASES, DOCUMENT


def test_kubectl_renders_the_same(tmp_path: Path) -> None:
    """`kubectl config view` needs no server; what it shows as JSON is what both are given."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", **DOCUMENT}))

    def view(output: str) -> str:
        command = [str(kubectl_path("any")), "config", "view", "--raw", "--kubeconfig", str(kubeconfig), "-o", output]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{output}: {done.stderr}"
        return done.stdout

    document = json.loads(view("json"))
    ours = {
        name: render(parse_template(template), document, most_characters=10_000)
        for name, (template, _) in CASES.items()
    }
    theirs = {name: view(f"jsonpath={template}") for name, (template, _) in CASES.items()}
    assert ours == theirs


@pytest.mark.parametrize(
    "template", ["{.kind", "{.clusters[0}", "{.clusters[?(@.name]}", '{"text}', "{host}", "{.clusters[x]}"]
)
def test_what_kubectl_cannot_read_is_not_read_here(tmp_path: Path, template: str) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", **DOCUMENT}))
    command = [
        str(kubectl_path("any")),
        "config",
        "view",
        "--kubeconfig",
        str(kubeconfig),
        "-o",
        f"jsonpath={template}",
    ]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0
    with pytest.raises(JsonPathFault, match="column "):
        parse_template(template)
