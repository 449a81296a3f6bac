"""The drill of docs/backup.md: a dump, a loss, a restore elsewhere, and all agrees with the service brokers again."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from chandlery.model.objects.annotations import ROTATE
from tests.e2e.stacks.api_client import secret_values
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.programs import CHANDLERY
from tests.e2e.stacks.servers import ServerShare, one_value, remove_queues, server_share
from tests.e2e.stacks.stacks import SplitStack
from tests.support.keeping_broker import KeepingBroker
from tests.support.waiting import wait_for

_SECONDS = 60
_DIFFERENT = 3


class Drill:
    """One installation, lost and restored."""

    def __init__(self, folder: Path, broker: KeepingBroker, lost: ServerShare, anew: ServerShare) -> None:
        self.folder = folder
        self.broker = broker
        self.lost = lost
        self.anew = anew
        self.stack = SplitStack(
            folder / "before", lost, environment={"CHANDLERY_BROKER_TRUSTED_NETWORKS": "127.0.0.0/8"}
        )
        self.restored = SplitStack(folder / "after", anew, environment=dict(_own(self.stack)))

    @property
    def records(self) -> list[str]:
        """What is left of the time that was lost: the workers' logs."""
        return [f"--record={self.folder / 'before' / name}.log" for name in ("provisioner", "binder")]

    def tell(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
        """What `chandlery reconcile` says in JSON, if it does."""
        done = subprocess.run(
            [CHANDLERY, "reconcile", *arguments],
            env=self.restored.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def differences(self) -> dict[tuple[str, str], str]:
        """By kind and name of the object, what differs."""
        found = self.tell("brokers", "-o", "json", *self.records, codes=(0, _DIFFERENT))
        return {(each["kind"], each["name"]): each["difference"] for each in found}

    def ids(self, plural: str) -> set[str]:
        """By which the restored database knows its objects."""
        _, listed = self.restored.api.read(f"/apis/servicecatalog.k8s.io/v1beta1/{plural}")
        return {each["spec"]["externalID"] for each in listed["items"]}


def _own(stack: SplitStack) -> Iterator[tuple[str, str]]:
    for name in ("CHANDLERY_ENCRYPTION_KEYS", "CHANDLERY_BROKER_TRUSTED_NETWORKS"):
        yield name, stack.environment[name]


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    with KeepingBroker() as broker, server_share() as lost, server_share() as anew:
        drill = Drill(tmp_path, broker, lost, anew)
        try:
            yield drill
        finally:
            for stack in (drill.stack, drill.restored):
                for program in stack.programs.values():
                    program.stop()
                remove_queues(stack.share, stack.lanes())


@pytest.mark.timeout(400)
def test_a_restored_database_agrees_with_its_brokers_again(drill: Drill) -> None:
    stack, broker = drill.stack, drill.broker
    stack.migrate()
    stack.start()
    api = stack.api
    _make(api, cluster_broker("keeper", broker.url))
    api.await_ready("clusterservicebrokers", "keeper", namespace="")
    for name, service in (("kept", "open"), ("gone", "open"), ("gone-mute", "mute")):
        _make(api, instance(name, service, "small"))
    for name in ("kept", "gone", "gone-mute"):
        api.await_ready("serviceinstances", name)
    _make(api, binding("kept-login", "kept"))
    api.await_ready("servicebindings", "kept-login")

    dump = drill.folder / "chandlery.dump"
    _postgres("pg_dump", drill.lost.database_url, "--format=custom", f"--file={dump}")

    # What the dump does not know.
    for name, service in (("new", "open"), ("new-mute", "mute"), ("unwanted", "open")):
        _make(api, instance(name, service, "large", parameters={"size": 3}))
    for name in ("new", "new-mute", "unwanted"):
        api.await_ready("serviceinstances", name)
    for name in ("new", "unwanted"):
        _make(api, binding(f"{name}-login", name))
        api.await_ready("servicebindings", f"{name}-login")
    first = secret_values(api.find("secrets", "kept-login") or {})
    _annotate(api, "kept-login", ROTATE)
    wait_for(lambda: secret_values(api.find("secrets", "kept-login") or {}) != first, what="new credentials")
    rotated = secret_values(api.find("secrets", "kept-login") or {})
    for name in ("gone", "gone-mute"):
        api.send("DELETE", f"/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/serviceinstances/{name}")
        api.await_gone("serviceinstances", name)
    stack.stop()
    before = list(broker.changes())

    # Restored elsewhere, it is noticed, and nothing is done.
    _postgres("pg_restore", drill.anew.database_url, "--no-owner", "--no-privileges", str(dump))
    restored = drill.restored
    assert "this database was restored or copied" in restored.migrate()
    restored.start()
    _make(restored.api, instance("asked-meanwhile", "open", "small"))
    assert drill.differences() == {
        ("ServiceInstance", "new"): "not here",
        ("ServiceBinding", "new-login"): "not here",
        ("ServiceInstance", "new-mute"): "not here",
        ("ServiceInstance", "unwanted"): "not here",
        ("ServiceBinding", "unwanted-login"): "not here",
        ("ServiceInstance", "gone"): "not there",
        ("ServiceInstance", "gone-mute"): "not there",
        ("ServiceBinding", "kept-login"): "other credentials",
    }
    drill.tell("adopt", "--all", "--dry-run", *drill.records)
    unwanted = ("default/unwanted", "default/unwanted-login", "default/gone", "default/gone-mute")
    drill.tell("mitigate", *unwanted, "--yes", *drill.records)
    drill.tell("adopt", "--all", "--yes", *drill.records)
    # A second time there is nothing left to be done.
    assert drill.tell("adopt", "--all", "--yes", "-o", "json", *drill.records) == []
    assert list(broker.changes()) == before

    drill.tell("release")
    api = restored.api
    for name in ("gone", "gone-mute", "unwanted"):
        api.await_gone("serviceinstances", name)
    for name in ("kept", "new", "new-mute", "asked-meanwhile"):
        api.await_ready("serviceinstances", name)
    for name in ("kept-login", "new-login"):
        api.await_ready("servicebindings", name)
        api.await_object("secrets", name, bool)
    wait_for(
        lambda: secret_values(api.find("secrets", "kept-login") or {}) == rotated,
        what="the credentials of the rotation",
    )
    assert drill.ids("serviceinstances") == set(broker.instances)
    # The credentials from before the rotation have their grace still.
    assert len(broker.bindings) == len(drill.ids("servicebindings")) + 1
    assert drill.differences() == {}
    assert one_value(drill.anew.database_url, "SELECT count(*) FROM audit_events WHERE verb = 'adopt'") == 4
    restored.stop()


def _make(api: Any, document: dict[str, Any]) -> None:
    namespace = "" if document["kind"].startswith("Cluster") else "default"
    answer = api.create(document, namespace=namespace)
    assert answer.status == 201, answer


def _annotate(api: Any, name: str, annotation: str) -> None:
    path = f"/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/servicebindings/{name}"
    status, said = api.send(
        "PATCH",
        path,
        {"metadata": {"annotations": {annotation: "2026-12-01T00:00:00Z"}}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert status == 200, said


def _postgres(program: str, url: str, *arguments: str) -> None:
    address = make_url(url)
    environment = {
        **os.environ,
        "PGHOST": address.host or "",
        "PGPORT": str(address.port),
        "PGUSER": address.username or "",
        "PGPASSWORD": str(address.password or ""),
    }
    name = [f"--dbname={address.database}"]
    done = subprocess.run(
        [program, *name, *arguments], env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
