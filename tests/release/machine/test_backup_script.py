"""deploy/backup.sh on a real PostgreSQL: a dump that is whole, the oldest removed, a failure that removes none."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.e2e.stacks.programs import REPOSITORY
from tests.e2e.stacks.servers import server_share

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, str]]:
    """An empty database, in libpq's variables."""
    with server_share() as share:
        url = make_url(share.database_url)
        given = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
        yield {
            **os.environ,
            **{name: str(value or "") for name, value in given.items()},
            "PGDATABASE": str(url.database),
        }


def back_up(folder: Path, environment: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    command = [REPOSITORY / "deploy/backup.sh", folder]
    return subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, check=False)


def test_a_dump_can_be_read_and_the_oldest_beyond_those_kept_go(tmp_path: Path, place: dict[str, str]) -> None:
    old = [tmp_path / f"chandlery-2026010{number}T000000Z.dump" for number in (1, 2, 3)]
    others = tmp_path / "notes.txt"
    for path in (*old, others):
        path.write_text("old")
    done = back_up(tmp_path, place, BACKUPS_KEPT="2")
    assert done.returncode == 0, done.stderr
    [new] = [path for path in tmp_path.glob("chandlery-*.dump") if path not in old]
    assert {path.name for path in tmp_path.iterdir()} == {new.name, old[2].name, others.name}
    assert new.stat().st_mode & 0o777 == 0o600
    subprocess.run(["pg_restore", "--list", new], check=True, capture_output=True)


def test_a_dump_that_fails_removes_nothing_and_says_why(tmp_path: Path, place: dict[str, str]) -> None:
    old = [tmp_path / f"chandlery-2026010{number}T000000Z.dump" for number in (1, 2, 3)]
    for path in old:
        path.write_text("old")
    failed = back_up(tmp_path, place, BACKUPS_KEPT="1", PGDATABASE="nowhere_to_be_found")
    assert failed.returncode != 0
    assert "nowhere_to_be_found" in failed.stderr
    assert sorted(tmp_path.glob("chandlery-*.dump")) == old


def test_a_dump_that_ends_in_its_middle_is_no_backup(tmp_path: Path, place: dict[str, str]) -> None:
    """As on a file system that has said that all was written: a list of what is in it would be whole."""
    folder, tools = tmp_path / "backups", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    old = [folder / f"chandlery-2026010{number}T000000Z.dump" for number in (1, 2, 3)]
    for path in old:
        path.write_text("old")
    with_rows = "CREATE TABLE IF NOT EXISTS rows AS SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n"
    subprocess.run(["psql", "--quiet", "--command", with_rows], env=place, check=True)
    cut = tools / "pg_dump"
    real = shutil.which("pg_dump", path=place["PATH"])
    cut.write_text(
        f'#!/bin/sh\n{real} "$@" || exit\nfor word; do case $word in --file=*) file=${{word#--file=}} ;; esac; done\n'
        'truncate --size=$(($(wc -c <"$file") / 2)) "$file"\n'
    )
    cut.chmod(0o755)
    failed = back_up(folder, {**place, "PATH": f"{tools}:{place['PATH']}"}, BACKUPS_KEPT="1")
    assert failed.returncode != 0
    assert failed.stdout == ""
    assert sorted(folder.glob("chandlery-*.dump")) == old


@pytest.mark.parametrize("kept", ["0", "many", "-1"])
def test_a_number_that_would_keep_nothing_is_refused(tmp_path: Path, place: dict[str, str], kept: str) -> None:
    refused = back_up(tmp_path, place, BACKUPS_KEPT=kept)
    assert (refused.returncode, list(tmp_path.iterdir())) == (2, [])
    assert f"BACKUPS_KEPT is '{kept}'" in refused.stderr
