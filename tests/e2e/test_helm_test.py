"""What `helm test` runs in the cluster, run against a real gateway and real workers: it says what is true."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stacks.programs import LOOPBACK, free_port
from tests.e2e.stacks.stacks import EmbeddedStack

SCRIPT: Final = Path(__file__).parents[2] / "deploy/chart/chandlery/files/real_provision.py"
_SECONDS: Final = 300.0


def _run(folder: Path, url: str, *, token: str, certificate: Path | None) -> subprocess.CompletedProcess[str]:
    tokens = folder / "tokens.csv"
    tokens.write_text(f'# token,user,uid,groups\n{"x" * 32},nobody,1\n{token},admin,2,"system:masters"\n')
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_URL": url,
        "TOKEN_FILE": str(tokens),
        "BROKER_HOST": LOOPBACK,
        "BROKER_PORT": str(free_port()),
        **({"CERTIFICATE_FILE": str(certificate)} if certificate else {}),
    }
    # As the pod does it: the script is an argument, and there is nothing but the standard library.
    command = [sys.executable, "-I", "-c", SCRIPT.read_text()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_helm_test_has_an_instance_and_a_binding_made_and_taken_away(
    embedded: EmbeddedStack, tmp_path: Path, scheme: str
) -> None:
    url = f"{scheme}://{LOOPBACK}:{embedded.api.port}"
    token = (embedded.data_dir / "token").read_text().strip()
    certificate = embedded.data_dir / "tls.crt" if scheme == "https" else None
    done = _run(tmp_path, url, token=token, certificate=certificate)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("readyz check passed", "ServiceInstance is ready", "ServiceBinding is ready", "taken away again"):
        assert words in done.stdout
    asked = [line.split(": ")[1].split()[0] for line in done.stdout.splitlines() if "broker was asked" in line]
    assert asked.count("PUT") == asked.count("DELETE") == 2
    # Nothing is left, and no secret was printed.
    assert "chandlery-test-" not in str(embedded.api.read("/api/v1/namespaces"))
    assert token not in done.stdout + done.stderr


def test_helm_test_fails_with_a_sentence_when_the_gateway_is_not_there(tmp_path: Path) -> None:
    url = f"http://{LOOPBACK}:{free_port()}"
    done = _run(tmp_path, url, token="y" * 32, certificate=None)
    assert done.returncode == 1
    assert f"{url} cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
