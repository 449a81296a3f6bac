"""`chandlery doctor` beside running installations: all is green, what is taken away is found, no secret is shown."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.e2e.stacks.programs import CHANDLERY, clean_environment
from tests.e2e.stacks.stacks import TOKEN, embedded_stack, split_stack
from tests.support.waiting import SOON, wait_for


def doctor(*arguments: str, environment: Mapping[str, str]) -> tuple[int, str, Mapping[str, Any]]:
    """Exit status, all that was printed, and the checks by id."""
    done = subprocess.run(
        [CHANDLERY, "doctor", "-o", "json", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout, {each["id"]: each for each in json.loads(done.stdout)["checks"]}


def not_green(checks: Mapping[str, Any]) -> dict[str, str]:
    return {name: each["message"] for name, each in checks.items() if each["state"] not in ("ok", "unused")}


def test_a_folder_of_up_is_green_while_up_is_at_work_and_says_so_when_it_is_not(tmp_path: Path) -> None:
    with embedded_stack(tmp_path) as stack:
        arguments, environment = ("--data-dir", str(stack.data_dir)), clean_environment()
        status, said, checks = doctor(*arguments, environment=environment)
        assert (status, not_green(checks)) == (0, {})
        assert checks["processes"]["message"].startswith("`chandlery up` is at work (gateway+provisioner")
        for secret in ("token", "encryption-key"):
            assert (stack.data_dir / secret).read_text().strip() not in said
        stack.stop()
        before = {path.name: path.read_bytes() for path in stack.data_dir.iterdir()}
        status, _, checks = doctor(*arguments, environment=environment)
        assert (status, list(not_green(checks))) == (1, ["processes"])
        assert checks["processes"]["remedy"] == "start `chandlery up` with the same --data-dir"
        assert {path.name: path.read_bytes() for path in stack.data_dir.iterdir()} == before


def test_separate_services_are_green_and_one_that_dies_is_missed(tmp_path: Path) -> None:
    with split_stack(tmp_path, has_roles=True) as stack:
        (tmp_path / "tls.key").chmod(0o600)
        environment = stack.programs["gateway"].environment
        status, said, checks = doctor(environment=environment)
        assert (status, not_green(checks)) == (0, {})
        assert checks["grants"]["message"].endswith("may do what the gateway needs, and no more")
        assert checks["consumers"]["message"] == "somebody listens on each of 4 queues"
        assert checks["processes"]["message"] == "at work: gateway running, provisioner 1, binder 1, syncer running"
        passwords = [make_url(environment[f"CHANDLERY_{name}_URL"]).password for name in ("DATABASE", "AMQP")]
        for secret in (*passwords, TOKEN, environment["CHANDLERY_ENCRYPTION_KEYS"].partition(":")[2]):
            assert secret and secret not in said
        stack.kill("binder")
        environment = stack.programs["provisioner"].environment
        found = wait_for(
            lambda: doctor("--only", "consumers", environment=environment)[2]["consumers"],
            lambda seen: seen["state"] == "fail",
            what="nobody to listen",
        )
        assert found["message"] == "nobody listens on the queues of the binder"
        assert found["remedy"].startswith("start `chandlery binder`")
