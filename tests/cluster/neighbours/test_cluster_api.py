"""What clients ask of us through kube-apiserver: discovery, OpenAPI, GitOps, quotas, watches that end."""

import http.client
import itertools
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import yaml

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject
from tests.e2e.stacks.kubectl import KubectlChoice, manifest
from tests.e2e.stacks.manifests import API, instance
from tests.support.waiting import wait_for

KUBECTLS = pytest.mark.parametrize("choice", ["any", "debian"])
GROUP = f"/apis/{API}"
MERGED_SECONDS = 150.0
"""kube-apiserver asks for the OpenAPI document of each API server behind it once a minute."""
COUNTED_SECONDS = 60.0


def _labelled(name: str, **labels: str) -> JsonObject:
    document = instance(name)
    document["metadata"]["labels"] = labels
    return document


@KUBECTLS
def test_every_kind_is_found_by_its_names(chandlery: InstalledChandlery, choice: KubectlChoice) -> None:
    kubectl = chandlery.kubectl(choice)
    found = kubectl.ok("api-resources", "--api-group=servicecatalog.k8s.io", "--no-headers", "-o", "name").split()
    assert len(found) == 8
    assert "serviceinstances.servicecatalog.k8s.io" in found
    kinds = kubectl.ok("api-resources", "--api-group=history.chandlery.io", "--no-headers", "-o", "name").split()
    assert len(kinds) == 2
    versions = kubectl.ok("api-versions").split()
    assert {API, "history.chandlery.io/v1", "audit.chandlery.io/v1"} <= set(versions)
    # The cluster's own are served by the cluster alone.
    assert kubectl.ok("get", "sio", "-A").strip() == ""


def test_the_cluster_names_our_groups_once_and_keeps_its_own(
    cluster: RealCluster, chandlery: InstalledChandlery
) -> None:
    groups = [each["name"] for each in chandlery.api.read("/apis")[1]["groups"]]
    assert len(groups) == len(set(groups))
    assert {"servicecatalog.k8s.io", "rbac.authorization.k8s.io", "events.k8s.io"} <= set(groups)
    resources = chandlery.api.read(GROUP)[1]["resources"]
    hashes = {each["name"]: each.get("storageVersionHash") for each in resources}
    assert hashes["serviceinstances"]
    assert hashes["serviceinstances/status"] is None


def _merged(chandlery: InstalledChandlery) -> JsonObject:
    """The document of kube-apiserver once ours is in it."""
    return wait_for(
        lambda: chandlery.api.read("/openapi/v2")[1].get("definitions", {}),
        lambda seen: "io.k8s.servicecatalog.v1beta1.ServiceInstance" in seen,
        what="OpenAPI of ours in that of kube-apiserver",
        seconds=MERGED_SECONDS,
    )


def test_our_openapi_document_is_merged_without_a_conflict(chandlery: InstalledChandlery) -> None:
    definitions = _merged(chandlery)
    # What kube-apiserver renames has such a tail.
    assert [name for name in definitions if name.endswith(("_v2", "_v3"))] == []
    spec = definitions["io.k8s.servicecatalog.v1beta1.ServiceInstance"]
    assert spec["properties"]["metadata"]["$ref"] == "#/definitions/io.chandlery.meta.v1.ObjectMeta"
    paths = chandlery.api.read("/openapi/v2")[1]["paths"]
    assert f"{GROUP}/namespaces/{{namespace}}/serviceinstances/{{name}}" in paths


@KUBECTLS
def test_kubectl_explains_our_fields(chandlery: InstalledChandlery, choice: KubectlChoice) -> None:
    _merged(chandlery)
    kubectl = chandlery.kubectl(choice)
    text = kubectl.ok("explain", "serviceinstance.spec")
    assert "clusterServiceClassExternalName" in text
    assert "ownerReferences" in kubectl.ok("explain", "serviceinstances.metadata")


@KUBECTLS
def test_what_a_manifest_no_longer_names_is_pruned(
    chandlery: InstalledChandlery, namespace: str, choice: KubectlChoice
) -> None:
    kubectl = chandlery.kubectl(choice)
    flag = "--prune-allowlist" if kubectl.minor_version > 25 else "--prune-whitelist"
    apply = ("-n", namespace, "apply", "--prune", "-l", "app=shop", f"{flag}={API}/ServiceInstance", "-f", "-")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop", "labels": {"app": "shop"}}}
    first = manifest(_labelled("one", app="shop"), _labelled("two", app="shop"), config)
    assert "serviceinstance.servicecatalog.k8s.io/one created" in kubectl.ok(*apply, stdin=first)
    kubectl.ok("-n", namespace, "apply", "-f", "-", stdin=manifest(_labelled("other", app="else")))
    assert "one unchanged" in kubectl.ok(*apply, stdin=first)
    changed = kubectl.ok(*apply, stdin=manifest(_labelled("one", app="shop", tier="gold"), config))
    assert "serviceinstance.servicecatalog.k8s.io/one configured" in changed
    assert "serviceinstance.servicecatalog.k8s.io/two pruned" in changed
    chandlery.api.await_gone("serviceinstances", "two", namespace=namespace)
    assert sorted(chandlery.api.names("serviceinstances", namespace=namespace)) == ["one", "other"]


@KUBECTLS
def test_server_side_apply_and_diff_work_through_the_cluster(
    chandlery: InstalledChandlery, namespace: str, choice: KubectlChoice
) -> None:
    kubectl = chandlery.kubectl(choice)
    apply = ("-n", namespace, "apply", "--server-side", "-f", "-")
    kubectl.ok(*apply, "--field-manager=gitops", stdin=manifest(_labelled("db", tier="gold")))
    diff = ("-n", namespace, "diff", "--server-side", "--field-manager=gitops", "-f", "-")
    same, other = manifest(_labelled("db", tier="gold")), manifest(_labelled("db", tier="tin"))
    assert kubectl.run(*diff, stdin=same).code == 0
    different = kubectl.run(*diff, stdin=other)
    assert (different.code, "+    tier: tin" in different.out) == (1, True), different
    conflict = kubectl.run(*apply, "--field-manager=somebody", stdin=other)
    assert (conflict.code, "gitops" in conflict.err) == (1, True)
    kubectl.ok(*apply, "--field-manager=somebody", "--force-conflicts", stdin=other)
    found = chandlery.api.find("serviceinstances", "db", namespace=namespace)
    assert found is not None
    assert found["metadata"]["labels"] == {"tier": "tin"}


def test_options_of_newer_clients_come_through_the_proxy(chandlery: InstalledChandlery, namespace: str) -> None:
    collection = f"{GROUP}/namespaces/{namespace}/serviceinstances"
    misspelt = instance("db", bogus=1)
    strict = chandlery.api.call("POST", f"{collection}?fieldValidation=Strict&dryRun=All", misspelt)
    assert strict.status == 400
    assert 'unknown field "spec.bogus"' in strict.body["message"]
    warned = chandlery.api.call("POST", f"{collection}?fieldValidation=Warn&dryRun=All", misspelt)
    assert warned.status == 201
    assert 'unknown field \\"spec.bogus\\"' in warned.headers["Warning"]
    wanted = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    accept = f"application/vnd.kubernetes.protobuf;{wanted},application/json;{wanted},application/json"
    listed = chandlery.api.call("GET", collection, headers={"Accept": accept})
    assert (listed.status, listed.body["kind"]) == (200, "PartialObjectMetadataList")
    too_new = chandlery.api.call("GET", f"{collection}?resourceVersion=999999999999999999")
    assert (too_new.status, too_new.headers["Retry-After"]) == (504, "1")


def test_a_quota_counts_our_objects_and_does_not_refuse_any(chandlery: InstalledChandlery, namespace: str) -> None:
    """What exceeds a quota is refused in kube-apiserver's admission, which requests for API servers behind it pass by.

    The quota controller counts when it sees a quota, each five minutes, and when something goes: not what comes.
    """
    name, path = "count/serviceinstances.servicecatalog.k8s.io", f"/api/v1/namespaces/{namespace}/resourcequotas"
    for number in range(2):
        assert chandlery.api.create(instance(f"db-{number}"), namespace=namespace).status == 201
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {name: "0"}}}
    assert chandlery.api.send("POST", path, quota)[0] == 201
    limits = itertools.cycle(["0", "1"])

    def used() -> str:
        # Another limit has it count anew: by its informer, which may not have seen both at first.
        changed = [{"op": "replace", "path": "/spec/hard", "value": {name: next(limits)}}]
        chandlery.kubectl().ok("-n", namespace, "patch", "quota", "few", "--type=json", "-p", json.dumps(changed))
        status = chandlery.api.read(f"{path}/few")[1].get("status", {})
        return str(status.get("used", {}).get(name))

    wait_for(used, lambda seen: seen == "2", what="the quota to count both", seconds=COUNTED_SECONDS)
    assert chandlery.api.create(instance("db-2"), namespace=namespace).status == 201


@contextmanager
def _open_watch(cluster: RealCluster, namespace: str) -> Iterator[http.client.HTTPResponse]:
    document = yaml.safe_load(cluster.admin.read_text())
    address = urlsplit(document["clusters"][0]["cluster"]["server"])
    context = ssl.create_default_context(cafile=document["clusters"][0]["cluster"]["certificate-authority"])
    user = document["users"][0]["user"]
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context, timeout=60)
    connection.request("GET", f"{GROUP}/namespaces/{namespace}/serviceinstances?watch=true")
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def test_watches_end_in_good_order_when_the_gateways_do(
    chandlery: InstalledChandlery, cluster: RealCluster, namespace: str
) -> None:
    """A stream that breaks off is an error to every client, and one in the log of kube-apiserver."""
    assert chandlery.api.create(instance("db"), namespace=namespace).status == 201
    with _open_watch(cluster, namespace) as watch:
        assert b'"ADDED"' in watch.readline()
        for name in chandlery.gateways:
            chandlery.programs[name].signal()
        try:
            # Of one that breaks off `http.client` says so by an exception.
            while watch.readline():
                pass
        finally:
            codes = [chandlery.programs[name].wait() for name in chandlery.gateways]
            for name in chandlery.gateways:
                chandlery.programs[name].start()
            chandlery.await_ready(*chandlery.gateways)
    assert codes == [0, 0]
