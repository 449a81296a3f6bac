"""Room where a process writes files."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chandlery.process.measuring.disk_space import keep_disk_space, written_folders
from chandlery.settings.settings import Settings
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.support.measured.metrics_page import told
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("database_url", "audit_log", "folders"),
    [
        pytest.param("sqlite:////data/chandlery.db", "", ["/data"], id="SQLite"),
        pytest.param("postgresql://db/chandlery", "/log/audit.jsonl", ["/log"], id="audit log"),
        pytest.param("sqlite:////data/chandlery.db", "/data/audit.jsonl", ["/data"], id="both in one folder"),
        pytest.param("postgresql://db/chandlery", "-", [], id="neither"),
    ],
)
def test_folders_are_those_that_files_are_written_to(database_url: str, audit_log: str, folders: list[str]) -> None:
    settings = Settings(database_url=SecretStr(database_url), audit_log=audit_log)
    assert [str(folder) for folder in written_folders(settings)] == folders


async def test_room_is_told_by_folder_and_a_folder_that_is_not_there_is_not(tmp_path: Path) -> None:
    metrics = PrometheusMetrics()
    settings: Any = Settings(
        database_url=SecretStr(f"sqlite:///{tmp_path}/chandlery.db"), audit_log="/nowhere/audit.jsonl"
    )
    task = asyncio.create_task(keep_disk_space(settings, metrics))
    try:
        seen = await eventually(
            lambda: told(metrics.render()[0].decode()), lambda page: any("disk" in key[0] for key in page)
        )
    finally:
        task.cancel()

    disks = {key: value for key, value in seen.items() if "disk" in key[0]}
    assert {key[1] for key in disks} == {str(tmp_path)}
    assert 0 < disks["chandlery_disk_free_bytes", str(tmp_path)] <= disks["chandlery_disk_size_bytes", str(tmp_path)]
