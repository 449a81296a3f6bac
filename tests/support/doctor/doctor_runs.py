"""`chandlery doctor` within a test: the results of its checks, by id, for settings that the test gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chandlery.process.commands.doctor.check import Result
from chandlery.process.commands.doctor.check_run import run_checks, with_needed
from chandlery.process.commands.doctor.every_check import every_check
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.settings.settings import load_settings
from chandlery.store.roles.grants import Role
from tests.support.waiting import SOON


async def examined(
    *only: str, data_folder: Path | None = None, service: Role | None = None, **settings: Any
) -> Mapping[str, Result]:
    """What these checks or sections have found, and those that they need; all of them unless some are named."""
    around = Surroundings(load_settings(**settings), data_folder=data_folder, service=service)
    checks = every_check(around)
    wanted = [each.id for each in checks if not only or {each.id, each.section} & {*only}]
    assert wanted, only
    try:
        outcomes = await run_checks(with_needed(checks, wanted), seconds=SOON, each_seconds=SOON)
    finally:
        await around.close()
    return {each.check.id: each.result for each in outcomes}
