"""A setting that was renamed: the old name works for a release, is told of, and is no second value."""

import json
import runpy
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.doctor.check import Result, State
from chandlery.process.commands.doctor.looks.settings_looks import settings_checks
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.service_commands import production_settings
from chandlery.process.logs.logs import end_logs
from chandlery.settings.names import renames
from chandlery.settings.settings import Settings, load_settings, old_names_in_use
from tests.e2e.stacks.programs import REPOSITORY

_MADE_UP = renames.RenamedSetting("sweep_pause", "sweep_seconds", since="0.2.0", until="0.3.0")
_USED = (
    "CHANDLERY_SWEEP_PAUSE is called CHANDLERY_SWEEP_SECONDS since release 0.2.0; "
    "the old name works until release 0.3.0, which refuses it"
)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """One setting had another name before, but for the tests of the real ones."""
    if "real" not in request.node.name:
        monkeypatch.setattr(renames, "RENAMED", (_MADE_UP,))


def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    path = tmp_path / "chandlery.toml"
    path.write_text(text)
    monkeypatch.setenv("CHANDLERY_CONFIG_FILE", str(path))
    return path


def test_the_old_name_counts_as_the_new_one_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "3.5")
    assert load_settings().sweep_seconds == 3.5
    assert old_names_in_use() == [_USED]


def test_the_old_name_counts_as_the_new_one_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, monkeypatch, "sweep_pause = 3.5\n")
    assert load_settings().sweep_seconds == 3.5
    [said] = old_names_in_use()
    assert said.startswith(f"sweep_pause in {path} is called sweep_seconds since release 0.2.0; the old name works")


def test_a_variable_wins_over_the_file_by_the_old_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path, monkeypatch, "sweep_pause = 3.5\n")
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "4.5")
    assert load_settings().sweep_seconds == 4.5


def test_both_names_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "3.5")
    monkeypatch.setenv("CHANDLERY_SWEEP_SECONDS", "3.5")
    with pytest.raises(ConfigurationFault) as raised:
        load_settings()
    assert raised.value.message == (
        "CHANDLERY_SWEEP_PAUSE and CHANDLERY_SWEEP_SECONDS are both set: CHANDLERY_SWEEP_PAUSE is the old name of "
        "CHANDLERY_SWEEP_SECONDS; remove CHANDLERY_SWEEP_PAUSE"
    )


def test_the_old_name_in_the_file_and_the_new_one_outside_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, monkeypatch, "sweep_pause = 3.5\n")
    monkeypatch.setenv("CHANDLERY_SWEEP_SECONDS", "4.5")
    with pytest.raises(ConfigurationFault, match=rf"remove sweep_pause in {path}"):
        load_settings()


def test_a_bad_value_is_told_by_the_name_that_it_was_given_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "often")
    with pytest.raises(ConfigurationFault, match=r"^CHANDLERY_SWEEP_PAUSE: Input should be a valid number"):
        load_settings()


def test_nobody_is_advised_to_use_an_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUS", "3.5")
    with pytest.raises(ConfigurationFault) as raised:
        load_settings()
    assert "CHANDLERY_SWEEP_PAUSE" not in raised.value.message


def test_a_process_warns_once_at_its_start(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "3.5")
    monkeypatch.setenv("CHANDLERY_LOG_FORMAT", "json")
    production_settings("gateway")
    end_logs()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["event.action"] == "read_settings"]
    assert (line["log.level"], line["message"]) == ("warning", _USED)


def test_doctor_lists_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_SWEEP_PAUSE", "3.5")
    [check] = [each for each in settings_checks(Surroundings(load_settings())) if each.id == "renamed-settings"]
    found = check.look()
    assert isinstance(found, Result)
    assert (found.state, found.message) == (State.WARN, _USED)
    assert "#renamed-settings" in found.remedy


def test_the_page_of_settings_and_the_schema_of_the_chart_have_old_names() -> None:
    page = runpy.run_path(str(REPOSITORY / "docs" / "generate_settings.py"))
    assert "| `CHANDLERY_SWEEP_PAUSE` | `CHANDLERY_SWEEP_SECONDS` | 0.2.0 | 0.3.0 |" in page["page"]()
    assert '"CHANDLERY_SWEEP_PAUSE"' in page["schema"]()


def test_real_renames_lead_to_settings_and_have_not_had_their_time() -> None:
    version = Version(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])
    for each in renames.RENAMED:
        assert each.new in Settings.model_fields
        assert each.old not in Settings.model_fields
        assert Version(each.since) < Version(each.until)
        assert version < Version(each.until), f"take the rename of {each.old} out of renames.py: its time is over"
