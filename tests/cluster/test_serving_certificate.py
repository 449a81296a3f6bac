"""Two real gateways make, share and renew their certificate by themselves; kube-apiserver believes it throughout."""

import base64
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chandlery_gateway.trust.certificate_making import issue_leaf, make_authority
from chandlery_gateway.trust.stored_certificates import StoredCertificate, read_stored, secret_data
from tests.cluster.stage.installation_manifests import NAMESPACE, SERVING_SECRET
from tests.cluster.stage.installed import InstalledChandlery, installed_chandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.programs import LOOPBACK
from tests.support.waiting import wait_for

_PATH = f"/api/v1/namespaces/{NAMESPACE}/secrets/{SERVING_SECRET}"
_API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.servicecatalog.k8s.io"
_BROKERS = "/apis/servicecatalog.k8s.io/v1beta1/clusterservicebrokers"


@pytest.fixture(scope="module")
def chandlery(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledChandlery]:
    folder = tmp_path_factory.mktemp("chandlery")
    with installed_chandlery(folder, cluster, has_two_gateways=True, makes_certificate=True) as stack:
        yield stack


def stored(chandlery: InstalledChandlery) -> StoredCertificate:
    _, secret = chandlery.cluster.api().read(_PATH)
    found = read_stored(secret)
    assert found is not None
    return found


def put(chandlery: InstalledChandlery, changed: StoredCertificate) -> None:
    """Have it stored as if time had passed."""
    status, _ = chandlery.cluster.api().send(
        "PATCH", _PATH, {"data": secret_data(changed)}, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert status == 200


def shown(chandlery: InstalledChandlery) -> set[str]:
    """What the gateways show, each by itself."""
    ports = [chandlery._ports[name] for name in chandlery.gateways]
    return {ssl.get_server_certificate((LOOPBACK, port)) for port in ports}


def bundle(chandlery: InstalledChandlery) -> str:
    _, found = chandlery.cluster.api().read(_API_SERVICE)
    return base64.b64decode(found["spec"].get("caBundle", "")).decode()


def await_shown(chandlery: InstalledChandlery, before: StoredCertificate) -> StoredCertificate:
    """Wait until all gateways show another certificate, and it alone; the cluster gets answers all the while."""

    def look() -> tuple[set[str], str]:
        assert chandlery.api.read(_BROKERS)[0] == 200
        return shown(chandlery), stored(chandlery).leaf.certificate

    wait_for(
        look,
        lambda seen: seen[0] == {seen[1]} and seen[1] != before.leaf.certificate,
        what="both gateways to show the new certificate",
    )
    return stored(chandlery)


def aged(authority_end: timedelta, leaf_end: timedelta, names: frozenset[str]) -> StoredCertificate:
    """One that ends then, counted from now."""
    now = datetime.now(UTC)
    authority = make_authority(now + authority_end - timedelta(days=3650))
    leaf = issue_leaf(authority, sorted(names), now + leaf_end - timedelta(days=90))
    return StoredCertificate(leaf, (authority.certificate,), authority.key)


def test_both_show_the_same_and_every_bundle_says_so(chandlery: InstalledChandlery) -> None:
    assert shown(chandlery) == {stored(chandlery).leaf.certificate}
    assert bundle(chandlery) == stored(chandlery).bundle_text
    assert chandlery.kubectl().run("get", "clusterservicebrokers").code == 0


def test_one_that_is_due_is_renewed_by_one_of_them_and_nobody_is_refused(chandlery: InstalledChandlery) -> None:
    before = stored(chandlery)
    now = datetime.now(UTC)
    due = issue_leaf(before.authority, sorted(before.names), now - timedelta(days=61))
    put(chandlery, StoredCertificate(due, before.bundle, before.authority_key))
    after = await_shown(chandlery, before)
    assert after.bundle == before.bundle
    assert after.ends_at - now > timedelta(days=80)


def test_authority_that_is_due_is_followed_by_another_one(chandlery: InstalledChandlery) -> None:
    before = stored(chandlery)
    old = aged(timedelta(days=300), timedelta(days=60), before.names)
    chandlery.cluster.api().send("DELETE", _PATH)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": SERVING_SECRET},
        "data": secret_data(old),
    }
    chandlery.cluster.api().send("POST", _PATH.rpartition("/")[0], secret)
    wait_for(
        lambda: stored(chandlery),
        lambda found: found.issuer == found.bundle[0] != old.bundle[0],
        what="a new authority to sign",
    )
    wait_for(
        lambda: (shown(chandlery), stored(chandlery)),
        lambda seen: seen[0] == {seen[1].leaf.certificate},
        what="both gateways to show what it has signed",
    )
    assert bundle(chandlery) == stored(chandlery).bundle_text
    chandlery.await_available()
    assert chandlery.api.read(_BROKERS)[0] == 200


def test_bundle_that_somebody_has_spoiled_is_mended(chandlery: InstalledChandlery) -> None:
    spoiled = base64.b64encode(make_authority(datetime.now(UTC)).certificate.encode()).decode()
    chandlery.cluster.api().send(
        "PATCH",
        _API_SERVICE,
        {"spec": {"caBundle": spoiled}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    wait_for(
        lambda: bundle(chandlery),
        lambda said: said == stored(chandlery).bundle_text,
        what="the bundle to be mended",
        seconds=120,
    )
    chandlery.await_available()
