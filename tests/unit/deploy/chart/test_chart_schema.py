"""The schema of the chart's values has Kubernetes' types as they are."""

import json
from pathlib import Path

import jsonschema
import pytest

import write_chart_schema
from chart_schema.kubernetes_types import kubernetes_types


def test_schema_has_the_types_of_kubernetes_as_they_are() -> None:
    assert write_chart_schema.main(["--check"]) == 0


def test_stale_schema_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "values.schema.json"
    stale.write_text('{\n  "definitions": {\n    "k8s.Old": {},\n    "own": {}\n  }\n}\n')
    monkeypatch.setattr(write_chart_schema, "SCHEMA", stale)
    assert write_chart_schema.main(["--check"]) == 1
    assert write_chart_schema.main([]) == 0
    assert json.loads(stale.read_text())["definitions"] == {**kubernetes_types(), "own": {}}
    assert write_chart_schema.main(["--check"]) == 0


def test_every_definition_is_used_and_every_one_that_is_used_is_there(chart_folder: Path) -> None:
    text = (chart_folder / "values.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.Draft7Validator.check_schema(schema)
    unused = {name for name in schema["definitions"] if f'"#/definitions/{name}"' not in text}
    assert unused == set()
    missing = {each.split('"')[0] for each in text.split('"#/definitions/')[1:]} - schema["definitions"].keys()
    assert missing == set()
