"""Pages of commands, values of the chart and reasons: each is what its generator makes, and lacks nothing."""

from enum import StrEnum
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from chandlery.process.commands.cli import COMMANDS, cli
from docs import generate_chart_values, generate_commands, generate_reasons
from docs.generate_chart_values import CHART, every_value, meaning_of
from docs.generate_commands import every_command
from docs.generate_reasons import missing

GENERATORS = [generate_commands, generate_chart_values, generate_reasons]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda module: module.__name__)
def test_page_is_what_the_generator_makes(generator: ModuleType) -> None:
    assert generator.main(["--check"]) == 0, f"run: python docs/{generator.__name__.removeprefix('docs.')}.py"


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda module: module.__name__)
def test_check_notices_a_stale_page(generator: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stale = tmp_path / "page.md"
    stale.write_text(generator.page() + "\n")
    monkeypatch.setattr(generator, "PAGE", stale)
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0


def test_every_command_and_option_is_told() -> None:
    page = generate_commands.page()
    names = [name for name, _ in every_command(cli, "chandlery")]
    assert [name for name in names if f"\n## {name}\n" not in page] == []
    assert {name.split()[1] for name in names} == set(COMMANDS)
    options = [
        each for _, command in every_command(cli, "chandlery") for param in command.params for each in param.opts
    ]
    assert [each for each in options if each.startswith("--") and each not in page] == []


def test_page_of_commands_does_not_depend_on_who_writes_it() -> None:
    assert str(Path.home()) not in generate_commands.page()


def test_every_value_of_the_chart_is_told() -> None:
    page = generate_chart_values.page()
    leaves = [each for each in every_value((CHART / "values.yaml").read_text()) if not each.is_branch]
    assert [each.path for each in leaves if f"\n| `{'.'.join(each.path)}` |" not in page] == []
    assert len(leaves) > 60


def test_value_is_told_with_its_default_and_the_comment_above_it() -> None:
    text = "# All of a.\na:\n  # About b.\n  # And more.\n  b: 1\n  # Of both.\n  c: {d: x, e: {}}\n"
    assert [(each.path, each.default, each.comment) for each in every_value(text)] == [
        (("a",), {"b": 1, "c": {"d": "x", "e": {}}}, "All of a."),
        (("a", "b"), 1, "About b. And more."),
        (("a", "c"), {"d": "x", "e": {}}, "Of both."),
        (("a", "c", "d"), "x", ""),
        (("a", "c", "e"), {}, ""),
    ]
    assert yaml.safe_load(text)["a"]["b"] == 1


def test_nothing_is_said_of_no_value_of_the_chart() -> None:
    rows = [line for line in generate_chart_values.page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows if row.endswith("|  |")] == []


def test_value_without_a_comment_is_told_by_what_it_is_in_or_by_its_like() -> None:
    text = (
        "gateway:\n  # How many.\n  replicas: 1\n  # What a pod has.\n  resources: {cpu: 1, memory: 2}\n"
        "binder: {replicas: 1}\ndata:\n  one: {resources: {cpu: 1}}\n  two: 1\n"
    )
    values = list(every_value(text))
    told = {".".join(each.path): meaning_of(each, values) for each in values if not each.is_branch}
    assert told == {
        "gateway.replicas": "How many.",
        "gateway.resources.cpu": "What a pod has.",
        "gateway.resources.memory": "See `gateway.resources.cpu`.",
        "binder.replicas": "How many.",
        "data.one.resources.cpu": "What a pod has.",
        "data.two": "",
    }


def test_every_reason_is_told_once() -> None:
    assert missing() == []


def test_a_reason_of_which_nothing_is_said_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class New(StrEnum):
        UNHEARD_OF = "UnheardOf"

    sections: tuple[object, ...] = (*generate_reasons._SECTIONS, ("New", New, {}, {}))
    monkeypatch.setattr(generate_reasons, "_SECTIONS", sections)
    assert missing() == ["New.UNHEARD_OF"]
    assert generate_reasons.main([]) == 1
