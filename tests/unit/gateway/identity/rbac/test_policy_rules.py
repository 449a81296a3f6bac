"""What a rule allows, as Kubernetes' `rbac.authorization.k8s.io/v1` says."""

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access
from chandlery_gateway.identity.rbac.policy_rules import PolicyRule, Role

ANN = UserInfo(username="ann")
CATALOG = "servicecatalog.k8s.io"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> PolicyRule:
    """Words with blanks between them; `-` is the core group."""
    return PolicyRule(
        verbs=tuple(verbs.split()),
        groups=tuple(word.replace("-", "") for word in groups.split(" ")),
        resources=tuple(resources.split()),
        names=tuple(names.split()),
    )


def access(verb: str, resource: str, name: str = "", *, group: str = "") -> Access:
    resource, _, subresource = resource.partition("/")
    return Access(
        user=ANN, verb=verb, group=group, resource=resource, subresource=subresource, namespace="team", name=name
    )


@pytest.mark.parametrize(
    ("given", "allowed", "refused"),
    [
        (
            rule("get list", "-", "secrets"),
            [access("get", "secrets", "a"), access("list", "secrets")],
            [
                access("watch", "secrets"),
                access("GET", "secrets"),
                access("get", "secret"),
                access("get", "secrets", group=CATALOG),
                access("get", "secrets/status"),
                access("*", "secrets"),
            ],
        ),
        (rule("*", "-", "secrets"), [access("adopt", "secrets"), access("*", "secrets")], [access("get", "events")]),
        (rule("get", "*", "events"), [access("get", "events", group="events.k8s.io")], [access("get", "secrets")]),
        (
            rule("get", "-", "*"),
            [access("get", "secrets"), access("get", "namespaces/status")],
            [access("get", "serviceplans", group=CATALOG)],
        ),
        (
            rule("get", "-", "namespaces/status"),
            [access("get", "namespaces/status")],
            [access("get", "namespaces"), access("get", "secrets/status"), access("get", "namespaces/finalize")],
        ),
        (
            rule("update", "*", "*/status"),
            [access("update", "namespaces/status"), access("update", "serviceplans/status", group=CATALOG)],
            [access("update", "namespaces"), access("update", "namespaces/mystatus"), access("update", "x/statu")],
        ),
        (
            rule("get", "-", "*/*"),
            [],
            [access("get", "namespaces/status"), access("get", "namespaces")],
        ),
        (
            rule("get update create", "-", "secrets", "a b"),
            [access("get", "secrets", "a"), access("update", "secrets", "b")],
            [access("get", "secrets", "c"), access("get", "secrets"), access("create", "secrets")],
        ),
        (rule("get", "", "secrets"), [access("get", "secrets")], [access("get", "secrets", group="x")]),
        (PolicyRule(verbs=("get",), resources=("secrets",)), [], [access("get", "secrets")]),
        (PolicyRule(verbs=("get",), groups=("",)), [], [access("get", "secrets"), access("get", "")]),
        (PolicyRule(verbs=(), groups=("*",), resources=("*",)), [], [access("get", "secrets"), access("", "secrets")]),
        (PolicyRule(verbs=("*",), paths=("*",)), [], [access("get", "secrets")]),
    ],
    ids=[
        *("resource", "all verbs", "all groups", "all resources", "subresource", "subresource of all", "no pattern"),
        *("names", "core group", "no group", "no resource", "no verb", "paths alone"),
    ],
)
def test_a_rule_allows_what_kubernetes_says(given: PolicyRule, allowed: list[Access], refused: list[Access]) -> None:
    role = Role([given])
    assert [role.allows(each) for each in allowed] == [True] * len(allowed)
    assert [role.allows(each) for each in refused] == [False] * len(refused)


@pytest.mark.parametrize(
    ("paths", "path", "is_allowed"),
    [
        ("/apis", "/apis", True),
        ("/apis", "/apis/", False),
        ("/apis", "/api", False),
        ("/apis/*", "/apis/servicecatalog.k8s.io/v1beta1", True),
        ("/apis/*", "/apis/", True),
        ("/apis/*", "/apis", False),
        ("/api*", "/apis", True),
        ("*", "/anything", True),
        ("/a*c", "/abc", False),
        ("/a**", "/ab", True),
    ],
)
def test_paths_are_compared_whole_or_by_their_beginning(paths: str, path: str, is_allowed: bool) -> None:
    role = Role([PolicyRule(verbs=("get",), paths=(paths,)), PolicyRule(verbs=("*",), groups=("*",), resources=("*",))])
    assert role.allows(Access(user=ANN, verb="get", path=path)) is is_allowed
    assert not role.allows(Access(user=ANN, verb="post", path=path))


def test_rules_add_up() -> None:
    role = Role([rule("get", "-", "secrets", "a"), rule("get", "-", "secrets", "b"), rule("list", "-", "secrets")])
    assert [role.allows(access("get", "secrets", name)) for name in ("a", "b", "c", "")] == [True, True, False, False]
    assert role.allows(access("list", "secrets"))
    assert role.names(access("get", "secrets")) == frozenset({"a", "b"})
    assert role.names(access("list", "secrets")) is None
    assert role.names(access("watch", "secrets")) == frozenset()
    everything = Role([*role.rules, rule("*", "*", "*")])
    assert everything.names(access("get", "secrets")) is None


def test_a_role_of_ten_thousand_names_is_one_look_up() -> None:
    names = [f"secret-{number}" for number in range(10_000)]
    one, many = rule("get", "-", "secrets", " ".join(names)), [rule("get", "-", "secrets", name) for name in names]
    for role in (Role([one]), Role(many)):
        assert role.allows(access("get", "secrets", names[-1]))
        assert not role.allows(access("get", "secrets", "another"))
        assert [len(entries) for entries in role._by_resource.values()] == [1]
