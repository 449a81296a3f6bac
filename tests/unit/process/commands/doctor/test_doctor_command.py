"""The command as it is typed: which checks, which folder, what happens when the settings cannot be read."""

import json
import os
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from chandlery.process.commands.cli import cli
from chandlery.process.commands.doctor import doctor_command
from chandlery.process.commands.doctor.check import SECTIONS, State
from chandlery.process.commands.doctor.every_check import every_check
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.up_settings import settings_to_check
from chandlery.process.commands.local_data_dir import open_data_directory
from chandlery.settings.settings import Settings
from tests.support.doctor.doctor_runs import examined

PAGE: Final = Path(__file__).parents[5] / "docs" / "doctor.md"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting, no home of a user, and logging as it was."""
    for name in [name for name in os.environ if name.startswith("CHANDLERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(doctor_command, "_quiet", lambda: None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("CHANDLERY_DATABSE_URL", "did you mean CHANDLERY_DATABASE_URL?"),
        ("CHANDLERY_PORT", "CHANDLERY_PORT: Input should be a valid integer"),
    ],
)
def test_settings_that_cannot_be_read_are_all_that_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    done = run()
    assert done.exit_code == 2
    assert done.output.startswith("fail    settings  ")
    assert said in done.output
    assert "1 check: 0 ok, 1 failed" in done.output
    assert "hunter2" not in done.output
    told = json.loads(run("-o", "json").stdout)
    assert (told["state"], [each["id"] for each in told["checks"]]) == ("fail", ["settings"])


def test_without_services_and_without_a_folder_nothing_can_be_looked_at(tmp_path: Path) -> None:
    done = run()
    assert done.exit_code == 2
    assert f"there is no folder {tmp_path / '.chandlery'}" in done.output
    assert "--data-dir" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "databse"), "There is no check 'databse'; did you mean 'database'?"),
        (("--skip", "xyzzy"), "There is no check 'xyzzy'; see `chandlery doctor --list`"),
        (("--timeout", "0"), "Invalid value for '--timeout'"),
        (("--service", "gatway"), "Invalid value for '--service'"),
    ],
)
def test_what_is_mistyped_is_misuse(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str) -> None:
    monkeypatch.setenv("CHANDLERY_AMQP_URL", "memory:")
    done = run(*arguments)
    assert (done.exit_code, said in done.output) == (2, True)


def test_only_brings_what_is_needed_and_skip_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_AMQP_URL", "memory:")
    listed = run("--list", "--only", "outbox").output.splitlines()
    assert [line.split()[1] for line in listed] == ["database", "schema", "outbox"]
    listed = run("--list", "--skip", "database", "--skip", "outbox").output.splitlines()
    assert not {"database", "schema", "outbox"} & {line.split()[1] for line in listed}
    missing = run("--only", "outbox", "-o", "json")
    assert missing.exit_code == 1
    assert [each["state"] for each in json.loads(missing.stdout)["checks"]] == ["fail", "skipped", "skipped"]


def test_every_check_has_its_own_id_and_needs_only_what_there_is() -> None:
    checks = every_check(Surroundings(Settings()))
    by_id = {each.id: each for each in checks}
    assert len(by_id) == len(checks) > 50
    assert {each.section for each in checks} == set(SECTIONS)
    seen: set[str] = set()
    while ready := {name for name, each in by_id.items() if {*each.needs} <= seen} - seen:
        seen |= ready
    assert seen == set(by_id), "some wait for each other, or for what is not there"
    assert [each.question for each in checks if not each.question.endswith(("?", "made."))] == []


def test_the_page_has_a_row_for_each_check() -> None:
    rows = [line.split("|")[1:4] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    written = [
        (cells[0].strip().strip("`"), cells[1].strip(), cells[2].strip())
        for cells in rows
        if cells[1].strip() in SECTIONS
    ]
    checks = every_check(Surroundings(Settings()))
    assert written == [(each.id, each.section, each.question) for each in checks]


async def test_a_folder_of_up_is_looked_at_as_up_would_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    directory = open_data_directory(folder)
    directory.encryption_keys(), directory.token(), directory.certificate()
    directory.lock.close()
    before = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    given = settings_to_check(folder).model_dump(exclude_unset=True)
    found = await examined("data-directory", "certificates", "private-files", "keys", data_folder=folder, **given)
    assert found["data-directory"].message == f"{folder} is this user's alone, and whole"
    assert found["encryption-keys"].message == "1 listed key can be read: laptop encrypts"
    assert found["gateway-certificate"].state is State.OK
    assert {path.name: path.read_bytes() for path in sorted(folder.iterdir())} == before

    (folder / "token").chmod(0o644)
    (folder / "encryption-key").unlink()
    found = await examined("data-directory", "keys", data_folder=folder, **given)
    assert "cannot be read: No such file" in found["data-directory"].message
    (folder / "encryption-key").write_text("x")
    (folder / "encryption-key").chmod(0o600)
    found = await examined("data-directory", data_folder=folder, **given)
    assert "other users may read or change" in found["data-directory"].message
    assert "chmod 600" in found["data-directory"].message + found["data-directory"].remedy
