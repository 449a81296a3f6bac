import pytest

from chandlery.model.objects.kinds import CATALOG_KINDS, CORE_KINDS, KINDS, VERBS, Kind
from chandlery_gateway.kube.kinds.review_kinds import REVIEW_KINDS
from chandlery_gateway.kube.kinds.served_kinds import ServedKinds
from chandlery_gateway.kube.openapi import discovery

GROUP_VERSION = "servicecatalog.k8s.io/v1beta1"
STANDALONE, IN_CLUSTER = ServedKinds.of("standalone"), ServedKinds.of("kubernetes")


def test_api_root_names_the_core_version() -> None:
    assert discovery.core_versions()["versions"] == ["v1"]


def test_group_list_begins_with_the_catalog_and_has_the_versions_of_every_group() -> None:
    groups = {group["name"]: group for group in discovery.groups(STANDALONE.in_groups)["groups"]}
    assert next(iter(groups)) == "servicecatalog.k8s.io"
    assert groups["servicecatalog.k8s.io"]["preferredVersion"] == {"groupVersion": GROUP_VERSION, "version": "v1beta1"}
    versions = [entry["version"] for entry in groups["authentication.k8s.io"]["versions"]]
    assert versions == ["v1", "v1beta1"]
    assert groups["authentication.k8s.io"]["preferredVersion"]["version"] == "v1"


@pytest.mark.parametrize("kind", REVIEW_KINDS, ids=lambda kind: f"{kind.version} {kind.kind}")
def test_reviews_can_be_created_and_nothing_else(kind: Kind) -> None:
    document = discovery.resources(kind.api_version, STANDALONE.every)
    (entry,) = (entry for entry in document["resources"] if entry["kind"] == kind.kind)
    assert (entry["name"], entry["verbs"], entry["namespaced"]) == (kind.plural, ["create"], kind.namespaced)
    aggregated = {group["metadata"]["name"]: group for group in discovery.aggregated(REVIEW_KINDS)["items"]}
    versions = {version["version"]: version for version in aggregated[kind.group]["versions"]}
    assert kind.plural in {resource["resource"] for resource in versions[kind.version]["resources"]}


def test_group_document_is_that_of_the_list() -> None:
    document = discovery.group("servicecatalog.k8s.io", STANDALONE.in_groups)
    assert document["kind"] == "APIGroup"
    assert document["versions"] == [{"groupVersion": GROUP_VERSION, "version": "v1beta1"}]


@pytest.mark.parametrize("group_version", ["v1", GROUP_VERSION])
def test_resource_list_has_every_kind_and_its_status(group_version: str) -> None:
    document = discovery.resources(group_version, STANDALONE.every)
    entries = {entry["name"]: entry for entry in document["resources"]}
    kinds = [kind for kind in KINDS.values() if kind.api_version == group_version]
    assert len(entries) == len(kinds) + sum(kind.has_status for kind in kinds)
    for kind in kinds:
        entry = entries[kind.plural]
        assert (entry["kind"], entry["namespaced"], entry["singularName"]) == (
            kind.kind,
            kind.namespaced,
            kind.singular,
        )
        assert entry["verbs"] == list(VERBS)
        assert tuple(entry.get("categories", ())) == kind.categories
        assert tuple(entry.get("shortNames", ())) == kind.short_names
        assert (f"{kind.plural}/status" in entries) is kind.has_status


def test_only_the_groups_of_ours_are_served_in_a_cluster() -> None:
    assert [group["name"] for group in discovery.groups(IN_CLUSTER.in_groups)["groups"]] == [
        "servicecatalog.k8s.io",
        "audit.chandlery.io",
        "history.chandlery.io",
    ]
    assert (IN_CLUSTER.core, IN_CLUSTER.rbac, IN_CLUSTER.events, IN_CLUSTER.reviews) == ((), (), (), ())
    assert set(IN_CLUSTER.every) == {kind for kind in STANDALONE.every if kind.group.endswith(".chandlery.io")} | set(
        CATALOG_KINDS
    )
    assert IN_CLUSTER.stored == CATALOG_KINDS


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery_says_the_same_as_the_resource_list(version: str) -> None:
    document = discovery.aggregated(CATALOG_KINDS, version=version)
    assert document["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    (group,) = document["items"]
    assert group["metadata"]["name"] == "servicecatalog.k8s.io"
    resources = {resource["resource"]: resource for resource in group["versions"][0]["resources"]}
    assert list(resources) == [kind.plural for kind in CATALOG_KINDS]
    assert resources["serviceinstances"]["scope"] == "Namespaced"
    assert resources["clusterservicebrokers"]["scope"] == "Cluster"
    assert resources["serviceinstances"]["subresources"][0]["subresource"] == "status"


def test_aggregated_discovery_of_core_kinds_has_a_group_without_name() -> None:
    (group,) = discovery.aggregated(CORE_KINDS)["items"]
    assert "name" not in group["metadata"]
    assert [resource["resource"] for resource in group["versions"][0]["resources"]] == [
        "namespaces",
        "secrets",
        "events",
        "serviceaccounts",
    ]


def test_version_follows_kubernetes_and_tells_what_runs() -> None:
    document = discovery.version_document("0.1.0")
    assert (document["major"], document["minor"]) == ("1", "32")
    assert document["gitVersion"] == "v1.32.0+chandlery-0.1.0"
    assert document["goVersion"].startswith("python3.")
    assert document["gitCommit"] == ""
    assert all(isinstance(value, str) for value in document.values())
    built = discovery.version_document("0.1.0", commit="0123abcd", tree_state="clean", date="2026-12-01T10:00:00Z")
    assert (built["gitCommit"], built["gitTreeState"], built["buildDate"]) == (
        "0123abcd",
        "clean",
        "2026-12-01T10:00:00Z",
    )
