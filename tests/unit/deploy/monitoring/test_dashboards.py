"""The dashboards: fresh, complete, and asking only for what is declared."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import write_dashboards
from chandlery.telemetry.catalog.every_metric import EVERY_METRIC
from dashboards.frame import SCHEMA_VERSION, as_json
from dashboards.parts import BROKER, MESSAGING, OVERVIEW, PROCESS
from tests.support.measured.promql import (
    TARGET_LABELS,
    declared,
    names_in,
    parsed,
    problems_in,
    result_labels,
    selectors,
)

WIDTH = 24
LEGEND = re.compile(r"{{(\w+)}}")
VARIABLE = re.compile(r"\$(\w+)")
BUILT_IN = {"__rate_interval"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(dashboard: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each panel with each of its queries."""
    yield from ((panel, target) for panel in panels_of(dashboard) for target in panel["targets"])


@pytest.fixture(params=[OVERVIEW, BROKER, PROCESS, MESSAGING])
def dashboard(request: pytest.FixtureRequest, dashboards: dict[str, Any]) -> Any:
    """Each of the four."""
    return dashboards[request.param]


def test_files_are_as_the_generator_writes_them(dashboards: dict[str, Any]) -> None:
    assert write_dashboards.main(["--check"]) == 0, "run: make dashboards"
    assert set(dashboards) == {OVERVIEW, BROKER, PROCESS, MESSAGING}


def test_generator_says_so_when_a_file_is_stale(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_dashboards, "FOLDER", tmp_path)
    monkeypatch.setattr(write_dashboards, "REPOSITORY", tmp_path)
    assert write_dashboards.main([]) == 0
    assert write_dashboards.main(["--check"]) == 0
    (tmp_path / "forgotten.json").write_text("{}")
    assert write_dashboards.main(["--check"]) == 1


def test_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] == SCHEMA_VERSION
    assert re.fullmatch(r"[a-z-]{8,40}", dashboard["uid"])
    assert dashboard["tags"] == ["chandlery"]
    assert "id" not in dashboard
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert {panel["type"] for panel in dashboard["panels"]} <= {"row", "stat", "timeseries", "table"}


def test_dashboard_is_one_to_the_types_of_grafana(dashboard: dict[str, Any]) -> None:
    register_default_plugins()
    read = Dashboard.from_json(dashboard)
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard


def test_every_panel_has_a_title_and_says_which_question_it_answers(dashboard: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in panels_of(dashboard)]
    assert all(titles)
    assert [panel["title"] for panel in panels_of(dashboard) if "?" not in panel["description"]] == []
    assert all(
        panel["fieldConfig"]["defaults"].get("unit") for panel in panels_of(dashboard) if panel["type"] != "table"
    )


def test_all_data_come_from_the_source_that_the_reader_chooses(dashboard: dict[str, Any]) -> None:
    source = dashboard["templating"]["list"][0]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    asked = [each["datasource"] for each in (*panels_of(dashboard), *dashboard["annotations"]["list"])]
    asked += [target["datasource"] for _, target in queries_of(dashboard)]
    asked += [each["datasource"] for each in dashboard["templating"]["list"][1:]]
    assert all(each == SOURCE for each in asked)


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_what_is_red_comes_first(dashboard: dict[str, Any]) -> None:
    first = [panel for panel in panels_of(dashboard) if panel["gridPos"]["y"] == 1]
    assert [panel["type"] for panel in first] == ["stat"] * 8
    reddens = [panel for panel in first if any(step["color"] == "red" for step in _steps(panel))]
    assert len(reddens) >= 3


def _steps(panel: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return steps


def test_dashboards_ask_only_for_what_is_declared(dashboard: dict[str, Any]) -> None:
    known = declared()
    found = {panel["title"]: problems_in(target["expr"], known) for panel, target in queries_of(dashboard)}
    assert {title: problems for title, problems in found.items() if problems} == {}
    for variable in dashboard["templating"]["list"][1:]:
        selector, label = LABEL_VALUES.fullmatch(variable["query"]["query"]).groups()  # type: ignore[union-attr]
        assert problems_in(selector, known) == []
        assert label in result_labels(parsed(selector), known)


def test_legends_and_columns_name_labels_that_the_result_has(dashboard: dict[str, Any]) -> None:
    known = declared()
    for panel, target in queries_of(dashboard):
        named = set(LEGEND.findall(target.get("legendFormat", "")))
        assert named <= result_labels(parsed(target["expr"]), known), panel["title"]
    for panel in panels_of(dashboard):
        if panel["type"] == "table":
            renamed = panel["transformations"][1]["options"]["renameByName"]
            labels = {name for name in renamed if not name.startswith("Value")}
            assert all(result_labels(parsed(each["expr"]), known) <= labels for each in panel["targets"]), panel[
                "title"
            ]


def test_reader_sees_only_what_they_have_chosen(dashboard: dict[str, Any]) -> None:
    for panel, target in queries_of(dashboard):
        for selector in selectors(parsed(target["expr"])):
            chosen = {each.name: each.value for each in selector.matchers.matchers}
            assert chosen["namespace"] == "$namespace", panel["title"]


def test_variables_that_are_used_are_offered(dashboard: dict[str, Any]) -> None:
    offered = {each["name"] for each in dashboard["templating"]["list"]}
    asked = " ".join(target["expr"] for _, target in queries_of(dashboard))
    titles = " ".join(panel["title"] for panel in dashboard["panels"])
    of_others = " ".join(each["query"]["query"] for each in dashboard["templating"]["list"][1:])
    used = set(VARIABLE.findall(f"{asked} {titles} {of_others}")) - BUILT_IN
    assert used <= offered
    assert offered - used == {"datasource"}


def test_links_lead_to_dashboards_that_there_are(dashboards: dict[str, Any]) -> None:
    text = "".join(as_json(each) for each in write_dashboards.DASHBOARDS)
    assert set(re.findall(r'"/d/([a-z-]+)\?', text)) <= set(dashboards)
    links = [each["links"] for each in dashboards.values()]
    assert all(of_one[0]["type"] == "dashboards" and of_one[0]["tags"] == ["chandlery"] for of_one in links)


def test_every_metric_is_on_a_dashboard(dashboards: dict[str, Any], rules: Any) -> None:
    asked = [target["expr"] for each in dashboards.values() for _, target in queries_of(each)]
    shown = {name for expr in asked for selector in selectors(parsed(expr)) for name in names_in(selector)}
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    assert {metric.name for metric in EVERY_METRIC} - plain - shown == set()


def test_labels_of_targets_are_none_of_ours() -> None:
    assert {metric.name for metric in EVERY_METRIC if TARGET_LABELS & set(metric.labels)} == set()
