"""`chandlery uninstall-check`: what it says while instances or bindings exist, and when none do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chandlery.model.objects import kinds
from chandlery.process.commands.uninstall.uninstall_check import refusal
from chandlery.store.database import Database
from tests.integration.store import samples


def check(database_url: str) -> subprocess.CompletedProcess[str]:
    """As the chart's hook does it: with the database alone."""
    environment = {"PATH": os.environ["PATH"], "CHANDLERY_DATABASE_URL": database_url}
    command = [str(Path(sys.executable).with_name("chandlery")), "uninstall-check"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


async def test_it_refuses_with_counts_until_the_last_instance_is_gone(database: Database, database_url: str) -> None:
    created = await samples.create_one(database, samples.instance("db"))
    await samples.create(database, samples.sample(kinds.SERVICE_BINDING))
    done = check(database_url)
    assert done.returncode == 1
    assert "1 service binding and 1 service instance still exist" in done.stderr
    assert "kubectl delete servicebindings,serviceinstances --all --all-namespaces" in done.stderr
    assert "Traceback" not in done.stderr

    await samples.remove(database, created)
    assert "1 service binding still exists" in check(database_url).stderr


async def test_it_lets_go_what_has_nothing_at_service_brokers(database: Database, database_url: str) -> None:
    await samples.create(database, samples.sample(kinds.CLUSTER_SERVICE_BROKER, "broker"))
    done = check(database_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "can be uninstalled" in done.stdout


def test_it_lets_go_what_was_never_migrated(empty_database_url: str) -> None:
    assert check(empty_database_url).returncode == 0


@pytest.mark.parametrize(
    ("instances", "bindings", "expected"),
    [
        (1, 0, "1 service instance still exists"),
        (12, 0, "12 service instances still exist"),
        (2, 3, "3 service bindings and 2 service instances still exist"),
    ],
)
def test_it_counts_in_words_that_fit(instances: int, bindings: int, expected: str) -> None:
    assert refusal(instances, bindings).startswith(f"Chandlery cannot be uninstalled: {expected}. ")
