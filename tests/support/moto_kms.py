"""moto's server as a process of its own, with one key in its KMS."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from machine.ports import free_ports
from tests.support.waiting import wait_for

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


@dataclass
class MotoKms:
    """Where it is, and the ARN of its key."""

    url: str
    arn: str
    server: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """It is away from now on, and all it knew with it."""
        self.server.kill()
        self.server.wait()

    def freeze(self) -> None:
        """It takes connections and says nothing."""
        self.server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.server.send_signal(signal.SIGCONT)

    def client(self) -> Any:
        """To do at the server what an administrator does."""
        return boto3.client(
            "kms", endpoint_url=self.url, region_name=REGION, config=Config(retries={"mode": "standard"})
        )


@contextmanager
def moto_kms() -> Iterator[MotoKms]:
    """Runs until the block ends. Its clients find credentials in the environment, which is put back."""
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    port = free_ports(1)[0]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kms = MotoKms(f"http://127.0.0.1:{port}", "", server)
    try:
        kms.arn = _key_of(kms)
        yield kms
    finally:
        kms.kill()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _key_of(kms: MotoKms) -> str:
    arns: list[str] = []

    def is_made() -> bool:
        with suppress(BotoCoreError):
            arns.append(str(kms.client().create_key()["KeyMetadata"]["Arn"]))
        return bool(arns)

    wait_for(is_made, what="moto's server")
    return arns[0]
