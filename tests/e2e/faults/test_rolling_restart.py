"""Every process is restarted in turn while users go on working: nothing is lost, and nobody is answered 5xx."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stacks.api_client import UNREACHABLE, ApiClient, JsonObject, is_ready
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import binding as binding_to
from tests.e2e.stacks.manifests import cluster_broker, instance
from tests.e2e.stacks.servers import server_share
from tests.e2e.stacks.stacks import WORKERS, SplitStack, running
from tests.support.waiting import wait_for

_COUNT: Final = 50
_LONG: Final = 60.0
_SECOND: Final = "second-gateway"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitStack]:
    """Gateways that go on for half a second after they have said that they end."""
    environment = {"CHANDLERY_SHUTDOWN_DELAY_SECONDS": "0.5"}
    with server_share() as share:
        stack = SplitStack(tmp_path_factory.mktemp("split"), share, environment=environment)
        stack.add_gateway(_SECOND)
        with running(stack, share):
            yield stack


class LoadBalancer:
    """Sends each request to the next gateway that is ready, and to another one if that cannot be reached."""

    def __init__(self, *gateways: ApiClient) -> None:
        self._gateways = gateways
        self._ready = list(gateways)
        self._turn = itertools.count()
        self._stop = threading.Event()
        self._seen = threading.Lock()
        self.answers: Counter[int] = Counter()
        self.bad: list[object] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look who is ready, for as long as this lasts."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(_LONG)

    def call(self, method: str, path: str, document: JsonObject | None = None) -> int:
        for _ in range(100):
            ready = self._ready or self._gateways
            answer = ready[next(self._turn) % len(ready)].call(method, path, document)
            if answer.status != UNREACHABLE:
                break
        with self._seen:
            self.answers[answer.status] += 1
            if answer.status >= 400 and not (answer.status == 409 and method == "POST"):
                # A creation that is sent again may have worked the first time.
                self.bad.append((method, path, answer))
        return answer.status

    def _look(self) -> None:
        while not self._stop.wait(0.15):
            self._ready = [one for one in self._gateways if one.read("/readyz")[0] == 200]


def test_nothing_is_lost_and_nothing_fails_while_every_process_is_restarted(split: SplitStack, tmp_path: Path) -> None:
    first, second = split.api, split.api_of(_SECOND)
    balancer = LoadBalancer(first, second)
    with DemoBroker(tmp_path, "--async", "--delay", "0.2") as broker:
        assert first.create(cluster_broker("demo-broker", broker.url)).status == 201
        first.await_ready("clusterservicebrokers", "demo-broker")
        done = threading.Event()
        users = [
            threading.Thread(target=_create_all, args=(balancer, done), daemon=True),
            threading.Thread(target=_read, args=(balancer, done), daemon=True),
        ]
        with balancer.running():
            for user in users:
                user.start()
            for name in ("gateway", _SECOND):
                _end(split, name)
                split.start(name)
            for name in WORKERS:
                _end(split, name)
                split.programs[name].start()
            split.await_ready(*WORKERS)
            done.set()
            for user in users:
                user.join(_LONG)
        assert balancer.bad == []
        assert balancer.answers[201] + balancer.answers[409] == 2 * _COUNT
        for plural in ("serviceinstances", "servicebindings"):
            wait_for(
                lambda plural=plural: [is_ready(item) for item in _items(second, plural)],  # type: ignore[misc]
                lambda ready: ready == [True] * _COUNT,
                what=f"all {plural} to be ready",
                seconds=_LONG,
            )
        made = {path for method, path, _ in broker.requests() if method == "PUT" and "service_bindings" not in path}
        assert made == {
            f"/v2/service_instances/{item['spec']['externalID']}" for item in _items(second, "serviceinstances")
        }


def _end(split: SplitStack, name: str) -> None:
    split.programs[name].signal()
    assert split.programs[name].wait() == 0
    assert "Traceback" not in split.programs[name].log_text()


def _create_all(balancer: LoadBalancer, done: threading.Event) -> None:
    """An instance and a binding every now and then; all that are left as soon as everything was restarted."""
    root = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/default"
    for number in range(_COUNT):
        balancer.call("POST", f"{root}/serviceinstances", instance(f"rolling-{number}", "demo-service-async", "small"))
        balancer.call("POST", f"{root}/servicebindings", binding_to(f"rolling-{number}", f"rolling-{number}"))
        done.wait(0.2)


def _read(balancer: LoadBalancer, done: threading.Event) -> None:
    while not done.wait(0.2):
        balancer.call("GET", "/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/serviceinstances?limit=20")


def _items(api: ApiClient, plural: str) -> list[JsonObject]:
    status, listed = api.read(f"/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/{plural}")
    assert status == 200, listed
    items: list[JsonObject] = listed["items"]
    return items
