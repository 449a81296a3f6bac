"""Moving in from Service Catalog in a real cluster: Secrets stay theirs, and are never without an owner."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.programs import CHANDLERY
from tests.support.dumps import old_catalog as old
from tests.support.waiting import wait_for

CHANGING = (osb.PROVISION, osb.UPDATE, osb.DEPROVISION, osb.BIND, osb.UNBIND)


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """The broker that Service Catalog has called until now."""
    with scripted_peer(simple_catalog(simple_service("db", plans=["small", "large"]))) as made:
        made.always(osb.UNBIND, Reply(200, {}))
        yield made


def moved(document: old.Document, namespace: str) -> old.Document:
    """The same object in the namespace of the test."""
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def test_secrets_stay_where_they_are_and_belong_to_their_bindings(
    chandlery: InstalledChandlery, peer: ScriptedPeer, cluster: RealCluster, namespace: str, tmp_path: Path
) -> None:
    instance = moved(old.instance("orders", old.provisioned()), namespace)
    binding = moved(old.binding("login", "orders", old.bound()), namespace)
    secret = old.secret("login", of="login", namespace=namespace, password="p")
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        del secret["metadata"][field]
    # kube-apiserver takes no new ones that block an owner of a kind that it does not know.
    secret["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = False
    chandlery.unregister()
    # A garbage collector that has begun while nobody serves bindings cannot tell whether they are there. One that has
    # known them takes the 404 of a kind that is gone for that of a binding, for up to half a minute.
    cluster.restart_controllers()
    status, there = cluster.api().send("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert status == 201, there
    dump = tmp_path / "dump.yaml"
    dump.write_text(old.as_kubectl_prints(*old.offered(peer.url), instance, binding))
    done = subprocess.run(
        [CHANDLERY, "import", "service-catalog", str(dump), "--yes"],
        env={**chandlery.environment, "CHANDLERY_KUBECONFIG": str(cluster.admin)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing" not in done.stdout
    chandlery.register()
    chandlery.await_available()
    cluster.restart_controllers()
    chandlery.api.await_ready("servicebindings", "login", namespace=namespace)
    kept = cluster.api().read(f"/api/v1/namespaces/{namespace}/secrets/login")[1]
    assert kept["metadata"]["uid"] == there["metadata"]["uid"]
    assert kept["data"] == {"password": base64.b64encode(b"p").decode()}
    assert [seen.template for seen in peer.seen() if seen.template in CHANGING] == []
    chandlery.kubectl().run("delete", "servicebinding", "login", "-n", namespace, "--wait=false")
    wait_for(
        lambda: cluster.api().read(f"/api/v1/namespaces/{namespace}/secrets/login")[0],
        lambda found: found == 404,
        what="the Secret to go with its binding",
    )
