"""Stands for kubelet and the controller of Jobs: what a Job's pod would do is done on this machine, and told."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.stacks.api_client import ApiClient, JsonObject
from tests.e2e.stacks.programs import CHANDLERY, clean_environment

_BETWEEN_LOOKS: Final = 0.3
_SECONDS: Final = 120.0
_OK: Final = 200


@dataclass
class RanJob:
    """What came of one."""

    arguments: list[str]
    code: int
    log: str


@dataclass
class JobRunner:
    """Runs the Jobs of a namespace with our own program, each once; `ran` tells of them by their names."""

    api: ApiClient
    namespace: str
    ran: dict[str, RanJob] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look for Jobs until `end`."""
        while not self._is_over.wait(_BETWEEN_LOOKS):
            status, found = self.api.read(self._path)
            for job in found["items"] if status == _OK else []:
                if job["metadata"]["uid"] not in self._done:
                    self._done.add(job["metadata"]["uid"])
                    self._run(job)

    def end(self) -> None:
        """Look for no more."""
        self._is_over.set()

    @property
    def _path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def _run(self, job: JsonObject) -> None:
        [container] = job["spec"]["template"]["spec"]["containers"]
        environment = clean_environment(**{each["name"]: self._value(each) for each in container["env"]})
        command = [CHANDLERY, *container["args"]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
        name = job["metadata"]["name"]
        self.ran[name] = RanJob(container["args"], done.returncode, done.stdout + done.stderr)
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        is_good = done.returncode == 0
        said = {
            "type": "Complete" if is_good else "Failed",
            "status": "True",
            "lastTransitionTime": moment,
            **({} if is_good else {"reason": "BackoffLimitExceeded", "message": "Job has reached its backoff limit"}),
        }
        counted = {"succeeded": 1, "completionTime": moment} if is_good else {"failed": 1}
        body = {"status": {"startTime": moment, "conditions": [said], **counted}}
        headers = {"Content-Type": "application/merge-patch+json"}
        status, answer = self.api.send("PATCH", f"{self._path}/{name}/status", body, headers=headers)
        assert status == _OK, answer

    def _value(self, variable: JsonObject) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        secret: Any = self.api.find("secrets", reference["name"], namespace=self.namespace)
        return base64.b64decode(secret["data"][reference["key"]]).decode()


@contextmanager
def running_jobs(api: ApiClient, namespace: str) -> Iterator[JobRunner]:
    """Until the end of the block."""
    runner = JobRunner(api, namespace)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    try:
        yield runner
    finally:
        runner.end()
        thread.join(_SECONDS)
