"""The article's walk-through with stock kubectl, line for line, and the tables that it shows.

One walk is made; tests look at what it printed.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.manifests import BINDING, BROKER, INSTANCE
from tests.e2e.stacks.stacks import Stack

CLASSES: Final = """\
NAME                                   EXTERNAL-NAME   BROKER        AGE
6b6b5306-5c37-4fba-a402-186f8a0dfa0a   demo-service    demo-broker   34s
"""
PLANS: Final = """\
NAME                                   EXTERNAL-NAME   BROKER        CLASS                                  AGE
9a411f4c-01fa-4996-a780-a0d1b8dcb234   default         demo-broker   6b6b5306-5c37-4fba-a402-186f8a0dfa0a   40s
"""
INSTANCES: Final = """\
NAME            CLASS                              PLAN      STATUS   AGE
demo-instance   ClusterServiceClass/demo-service   default   Ready    11s
"""
BINDINGS: Final = """\
NAME           SERVICE-INSTANCE   SECRET-NAME                 STATUS   AGE
demo-binding   demo-instance      demo-instance-credentials   Ready    7s
"""
_WAIT: Final = ("wait", "--for=condition=Ready", "--timeout=30s")


@dataclass
class Walk:
    """What one walk printed, and what it left."""

    broker: DemoBroker
    stack: Stack
    kubectl: Kubectl
    printed: dict[str, str] = field(default_factory=dict)
    instance_id: str = ""
    binding_id: str = ""
    binding_uid: str = ""
    instance_status_at_broker: int = 0
    seconds: float = 0.0

    @property
    def api(self) -> ApiClient:
        return self.stack.api

    def log_tails(self) -> dict[str, str]:
        return {**self.stack.log_tails(), **self.broker.log_tails()}

    def make(self, folder: Path) -> None:
        """Every command of the article, in its order."""
        begun = time.monotonic()
        self._create_all(folder)
        self._look_behind()
        self._say("delete binding", "delete", "servicebindings", "demo-binding")
        self._say("delete instance", "delete", "serviceinstance", "demo-instance")
        self._say("delete broker", "delete", "clusterservicebroker", "demo-broker")
        self.seconds = time.monotonic() - begun

    def _create_all(self, folder: Path) -> None:
        self._say("create broker", "create", "-f", BROKER, folder=folder)
        self.kubectl.ok(*_WAIT, "clusterservicebroker/demo-broker")
        self._say("brokers", "get", "clusterservicebrokers")
        self._say("classes", "get", "clusterserviceclasses")
        self._say("plans", "get", "clusterserviceplans")
        self._say("create instance", "create", "-f", INSTANCE, folder=folder)
        self.kubectl.ok(*_WAIT, "serviceinstance/demo-instance")
        self._say("instances", "get", "serviceinstances")
        self._say("create binding", "create", "-f", BINDING, folder=folder)
        self.kubectl.ok(*_WAIT, "servicebinding/demo-binding")
        self._say("bindings", "get", "servicebindings")
        self._say("secret", "get", "secret", "demo-instance-credentials", "-o", "yaml")

    def _look_behind(self) -> None:
        self.instance_id = self.kubectl.json("serviceinstance", "demo-instance")["spec"]["externalID"]
        binding = self.kubectl.json("servicebinding", "demo-binding")
        self.binding_id, self.binding_uid = binding["spec"]["externalID"], binding["metadata"]["uid"]
        self.instance_status_at_broker = self.broker.status_of(f"/v2/service_instances/{self.instance_id}")

    def _say(self, step: str, *words: str, folder: Path | None = None) -> None:
        self.printed[step] = self.kubectl.ok(*words, folder=folder)


def without_ages(table: str) -> str:
    """With `AGE` in the last column."""
    return re.sub(r"(?<=\s)\d+[smh]\S*$", "AGE", table, flags=re.MULTILINE)


def without_place(text: str) -> str:
    """As older versions print it."""
    # kubectl 1.34 and later say where: `deleted from default namespace`.
    return re.sub(r" from \S+ namespace$", "", text, flags=re.MULTILINE)
