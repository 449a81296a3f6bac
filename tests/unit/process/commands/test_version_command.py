"""`chandlery version`: what it tells, and what it leaves open."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from chandlery.model.objects.brokers import CommonBrokerSpec
from chandlery.process.commands.about import build_stamp
from chandlery.process.commands.about.build_stamp import BuildStamp
from chandlery.process.commands.cli import cli
from chandlery.reconcile.operation.version_matrix import NEWEST, OLDEST

_STAMP = '{"gitCommit": "0123abcd", "gitTreeState": "clean", "buildDate": "2026-12-01T10:00:00Z"}'


@pytest.fixture
def stamp_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], object]:
    """Writes the note of a build; without it there is none."""
    monkeypatch.setattr(build_stamp, "files", lambda _package: tmp_path)
    return (tmp_path / build_stamp.FILE).write_text


def test_version_tells_the_commit_that_was_noted_when_it_was_built(stamp_is: Callable[[str], object]) -> None:
    stamp_is(_STAMP)
    told = CliRunner().invoke(cli, ["version"]).stdout
    assert "Commit:          0123abcd (clean, 2026-12-01T10:00:00Z)\n" in told


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "no JSON", '{"gitCommit": "0123"}'])
def test_version_leaves_the_commit_open_when_the_note_cannot_be_read(
    stamp_is: Callable[[str], object], text: str
) -> None:
    stamp_is(text)
    done = CliRunner().invoke(cli, ["version"])
    assert done.exit_code == 0
    assert "Commit:          unknown: not built from a Git checkout, or installed in editable form\n" in done.stdout
    assert BuildStamp.read() == BuildStamp()


def test_version_refuses_a_form_that_it_does_not_know() -> None:
    done = CliRunner().invoke(cli, ["version", "--output", "toml"])
    assert done.exit_code == 2
    assert "'toml' is not one of 'text', 'json', 'yaml'" in done.stderr


def test_versions_of_osb_are_those_that_a_broker_may_be_pinned_to() -> None:
    literal, _ = get_args(CommonBrokerSpec.model_fields["osb_api_version"].annotation)
    versions = get_args(literal)
    assert (versions[0], versions[-1]) == (OLDEST, NEWEST)
