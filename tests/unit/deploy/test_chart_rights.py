"""Rights that the chart gives with platform kubernetes: to our own service accounts the least, to users what is usual.

Usual is what Chandlery's own roles allow where it stands alone.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from chandlery.model.objects.rbac import ClusterRole
from chandlery.platform.kubernetes.cluster_refusals import READER_ROLE, SECRETS_ROLE
from chandlery_gateway.identity.default_roles.coming_roles import DEFAULT_ROLES
from tests.unit.deploy.conftest import Objects

Render = Callable[..., Objects]
Right = tuple[str, str, str, str]
"""Group, resource, verb, and the one name it is for; `*` for all."""

_OURS = {"servicecatalog.k8s.io", "history.chandlery.io", "audit.chandlery.io"}
_ACCOUNT = "demo-chandlery-{}"


def rights_of(rules: Iterable[dict[str, Any]]) -> set[Right]:
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", ["*"])
    }


def lasting_bindings(objects: Objects) -> list[dict[str, Any]]:
    """Bindings of the release, without those that `helm test` makes for its own namespace and takes away."""
    bindings = [body for (kind, _), body in objects.items() if kind.endswith("RoleBinding")]
    return [body for body in bindings if "helm.sh/hook" not in body["metadata"].get("annotations", {})]


def given_to(objects: Objects, account: str) -> dict[str, set[Right]]:
    """What a service account may do, by namespace; `*` for all. Roles of the cluster itself are told by their name."""
    found: dict[str, set[Right]] = {}
    for body in lasting_bindings(objects):
        if account not in [each["name"] for each in body["subjects"]]:
            continue
        place = body["metadata"].get("namespace", "*")
        role = objects.get((body["roleRef"]["kind"], body["roleRef"]["name"]))
        rights = rights_of(role["rules"]) if role else {("", body["roleRef"]["name"], "", "")}
        found[place] = found.get(place, set()) | rights
    return found


def verbs(right: str, *names: str, group: str = "", name: str = "*") -> set[Right]:
    return {(group, right, verb, name) for verb in names}


def test_gateway_may_ask_who_users_are_follow_namespaces_and_keep_its_certificate(
    render: Render, in_cluster: dict[str, Any]
) -> None:
    services = ("v1beta1.servicecatalog.k8s.io", "v1.history.chandlery.io", "v1.audit.chandlery.io")
    certificate = [verbs("apiservices", "get", "patch", group="apiregistration.k8s.io", name=each) for each in services]
    assert given_to(render(in_cluster), _ACCOUNT.format("gateway")) == {
        "*": {("", "system:auth-delegator", "", "")}.union(verbs("namespaces", "get", "list", "watch"), *certificate),
        "kube-system": {("", "extension-apiserver-authentication-reader", "", "")},
        "prod": verbs("secrets", "get", "update", "watch", name="demo-chandlery-serving"),
    }


@pytest.mark.parametrize("source", ["secret", "certManager"])
def test_gateway_may_change_nothing_if_others_make_its_certificate(
    render: Render, in_cluster: dict[str, Any], source: str
) -> None:
    given: dict[str, Any] = {"servingCertificate": {"source": source}}
    if source == "secret":
        given["servingCertificate"]["caBundle"] = "-----BEGIN CERTIFICATE-----\n"
        in_cluster["gateway"] = {"tls": {"secretName": "own"}}
    found = given_to(render({**in_cluster, "kubernetes": given}), _ACCOUNT.format("gateway"))
    assert {verb for rights in found.values() for _, _, verb, _ in rights} == {"get", "list", "watch", ""}


@pytest.mark.parametrize("service", ["provisioner", "binder", "syncer"])
def test_worker_has_no_right_to_secrets_by_itself(render: Render, in_cluster: dict[str, Any], service: str) -> None:
    finalizers = verbs("servicebindings/finalizers", "update", group="servicecatalog.k8s.io")
    expected = verbs("namespaces", "get") | verbs("events", "create", "patch")
    found = given_to(render(in_cluster), _ACCOUNT.format(service))
    assert found == {"*": expected | finalizers if service == "binder" else expected}


def test_binder_alone_writes_secrets_where_a_namespace_takes_part(render: Render, in_cluster: dict[str, Any]) -> None:
    given = {"secrets": {"namespaces": ["shop"], "brokerNamespaces": ["logins"]}}
    objects = render({**in_cluster, "kubernetes": given})
    reads, follows = verbs("secrets", "get"), verbs("secrets", "list", "watch")
    for service in ("provisioner", "syncer"):
        found = given_to(objects, _ACCOUNT.format(service))
        assert (found["shop"], found["logins"]) == (reads, reads)
    found = given_to(objects, _ACCOUNT.format("binder"))
    assert found["shop"] == reads | follows | verbs("secrets", "create", "patch", "delete")
    assert found["logins"] == reads | follows
    assert given_to(objects, _ACCOUNT.format("gateway")).keys() == {"*", "kube-system", "prod"}


@pytest.mark.parametrize("name", [SECRETS_ROLE, READER_ROLE])
def test_roles_are_there_that_conditions_tell_namespaces_to_bind(
    render: Render, in_cluster: dict[str, Any], name: str
) -> None:
    assert ("ClusterRole", name) in render({**in_cluster, "fullnameOverride": "catalog"})


def test_workers_have_rights_to_all_secrets_if_they_are_given_them(render: Render, in_cluster: dict[str, Any]) -> None:
    objects = render({**in_cluster, "kubernetes": {"secrets": {"clusterWide": True}}})
    assert verbs("secrets", "get") <= given_to(objects, _ACCOUNT.format("syncer"))["*"]
    assert verbs("secrets", "create") <= given_to(objects, _ACCOUNT.format("binder"))["*"]
    assert not verbs("secrets", "create") & given_to(objects, _ACCOUNT.format("provisioner"))["*"]


def test_a_shared_service_account_is_named_once_in_each_binding(render: Render, in_cluster: dict[str, Any]) -> None:
    in_cluster["serviceAccounts"] = {"create": False, "name": "shared"}
    objects = render({**in_cluster, "kubernetes": {"secrets": {"namespaces": ["shop"]}}})
    bindings = lasting_bindings(objects)
    assert {tuple((each["name"], each["namespace"]) for each in body["subjects"]) for body in bindings} == {
        (("shared", "prod"),)
    }


_OWN_ROLES = [each for each in DEFAULT_ROLES if each.metadata.name.startswith("chandlery:")]


@pytest.mark.parametrize("role", _OWN_ROLES, ids=lambda role: role.metadata.name)
def test_role_allows_users_what_it_allows_them_standalone(
    render: Render, in_cluster: dict[str, Any], role: ClusterRole
) -> None:
    rules = [rule.model_dump(by_alias=True, exclude_none=True) for rule in role.rules or ()]
    made = render(in_cluster)["ClusterRole", role.metadata.name]
    # Of namespaces, Secrets and roles the cluster has roles of its own.
    assert rights_of(made["rules"]) == {right for right in rights_of(rules) if right[0] in _OURS}


@pytest.mark.parametrize("aggregate", [True, False])
def test_admin_edit_and_view_of_the_cluster_gather_these_roles_if_they_may(
    render: Render, in_cluster: dict[str, Any], aggregate: bool
) -> None:
    objects = render({**in_cluster, "kubernetes": {"roles": {"aggregate": aggregate}}})
    gathered = {
        (name.removeprefix("chandlery:"), label.rpartition("-")[2])
        for (kind, name), body in objects.items()
        if kind == "ClusterRole"
        for label, value in body["metadata"]["labels"].items()
        if label.startswith("rbac.authorization.k8s.io/aggregate-to-") and value == "true"
    }
    expected = {(f"aggregate-to-{each}", each) for each in ("admin", "edit", "view")} | {("catalog-viewer", "view")}
    assert gathered == (expected if aggregate else set())


@pytest.mark.parametrize("everybody", [True, False])
def test_everybody_sees_the_catalog_if_they_may(render: Render, in_cluster: dict[str, Any], everybody: bool) -> None:
    objects = render({**in_cluster, "kubernetes": {"roles": {"catalogForEverybody": everybody}}})
    assert (("ClusterRoleBinding", "chandlery:catalog-viewer") in objects) == everybody
