"""Who may do what by roles and bindings; the words are Kubernetes'."""

from dataclasses import dataclass, field

import pytest

from chandlery.model.faults import Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import EVERYTHING, Access, PathRule, Reach, ResourceRule
from chandlery_gateway.identity.rbac import rbac_authorizer
from chandlery_gateway.identity.rbac.policy_rules import PolicyRule, Role
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, Binding, RuleIndex, Subject

ANN = UserInfo(username="ann", groups=("dba", "system:authenticated"))
ROBOT = UserInfo(username="system:serviceaccount:team:robot", groups=("system:serviceaccounts",))
READ = PolicyRule(verbs=("get", "list"), groups=("",), resources=("secrets",))
TO_ANN, TO_DBA = Subject("User", "ann"), Subject("Group", "dba")


@dataclass
class Rules:
    """Rules that a test gives."""

    known: RuleIndex = field(default_factory=RuleIndex)
    revision: int = 0
    is_away: bool = False

    @property
    def index(self) -> RuleIndex:
        if self.is_away:
            raise Unavailable("nobody knows")
        return self.known

    def role(self, name: str, *rules: PolicyRule, namespace: str = CLUSTER) -> None:
        self.known.put_role((namespace, name), Role(rules))
        self.revision += 1

    def bind(self, name: str, role: str, *subjects: Subject, namespace: str = CLUSTER, kind: str = "") -> None:
        kind = kind or "ClusterRole"
        self.known.put_binding(
            Binding(namespace=namespace, name=name, role_kind=kind, role_name=role, subjects=subjects)
        )
        self.revision += 1


def secrets(verb: str = "get", name: str = "", *, user: UserInfo = ANN, namespace: str = "team") -> Access:
    return Access(user=user, verb=verb, resource="secrets", namespace=namespace, name=name)


@pytest.fixture
def rules() -> Rules:
    return Rules()


@pytest.fixture
def authorizer(rules: Rules) -> RbacAuthorizer:
    return RbacAuthorizer(rules)


async def test_nothing_is_allowed_that_no_rule_allows(authorizer: RbacAuthorizer) -> None:
    for user in (ANN, UserInfo(), UserInfo(username="system:anonymous", groups=("system:unauthenticated",))):
        decision = await authorizer.decide(secrets(user=user))
        assert (decision.allowed, decision.reason) == (False, "")
        assert await authorizer.reach(secrets(user=user)) == Reach(everywhere=frozenset())


@pytest.mark.parametrize(
    ("subject", "namespace", "user", "whom"),
    [
        (TO_ANN, CLUSTER, ANN, 'User "ann"'),
        (TO_DBA, "team", ANN, 'Group "dba"'),
        (Subject("ServiceAccount", "robot"), "team", ROBOT, 'ServiceAccount "robot/team"'),
        (Subject("ServiceAccount", "robot", "team"), CLUSTER, ROBOT, 'ServiceAccount "robot/team"'),
        (Subject("User", "system:serviceaccount:team:robot"), "team", ROBOT, f'User "{ROBOT.username}"'),
        (Subject("Group", "system:serviceaccounts"), CLUSTER, ROBOT, 'Group "system:serviceaccounts"'),
    ],
)
async def test_the_reason_names_the_binding_the_role_and_the_subject(
    rules: Rules, authorizer: RbacAuthorizer, subject: Subject, namespace: str, user: UserInfo, whom: str
) -> None:
    rules.role("reader", READ)
    rules.bind("give", "reader", subject, namespace=namespace)
    binding = 'RoleBinding "give/team"' if namespace else 'ClusterRoleBinding "give"'
    decision = await authorizer.decide(secrets(user=user))
    assert decision.allowed
    assert decision.reason == f'RBAC: allowed by {binding} of ClusterRole "reader" to {whom}'
    assert not (await authorizer.decide(secrets(user=UserInfo(username="bob")))).allowed


@pytest.mark.parametrize(
    "subject",
    [
        Subject("User", "dba"),
        Subject("Group", "ann"),
        Subject("ServiceAccount", "ann"),
        Subject("user", "ann"),
        Subject("User", "Ann"),
        Subject("User", ""),
        Subject("ServiceAccount", "robot"),
    ],
)
async def test_nobody_else_is_meant(rules: Rules, authorizer: RbacAuthorizer, subject: Subject) -> None:
    rules.role("reader", READ)
    # A service account without a namespace is nobody in a binding for all namespaces.
    rules.bind("give", "reader", subject)
    for user in (ANN, ROBOT):
        assert not (await authorizer.decide(secrets(user=user))).allowed


async def test_a_binding_counts_in_its_namespace_alone(rules: Rules, authorizer: RbacAuthorizer) -> None:
    rules.role("reader", READ, PolicyRule(verbs=("get",), paths=("/metrics",)))
    rules.bind("give", "reader", TO_ANN, namespace="team")
    for namespace, allowed in (("team", True), ("other", False), ("", False)):
        assert (await authorizer.decide(secrets(namespace=namespace))).allowed is allowed
    path = Access(user=ANN, verb="get", path="/metrics")
    assert not (await authorizer.decide(path)).allowed, "paths are in no namespace"
    rules.bind("give", "reader", TO_ANN)
    assert (await authorizer.decide(path)).allowed
    assert (await authorizer.decide(secrets(namespace=""))).allowed


async def test_a_role_is_that_of_the_bindings_namespace(rules: Rules, authorizer: RbacAuthorizer) -> None:
    rules.role("reader", READ, namespace="other")
    rules.bind("give", "reader", TO_ANN, namespace="team", kind="Role")
    assert not (await authorizer.decide(secrets())).allowed
    rules.role("reader", READ, namespace="team")
    assert (await authorizer.decide(secrets())).reason.endswith('of Role "reader" to User "ann"')


async def test_a_role_that_comes_later_counts_from_then_on_and_one_that_goes_does_not(
    rules: Rules, authorizer: RbacAuthorizer
) -> None:
    rules.bind("give", "reader", TO_ANN)
    assert not (await authorizer.decide(secrets())).allowed
    rules.role("reader", READ)
    assert (await authorizer.decide(secrets())).allowed
    rules.known.remove_role((CLUSTER, "reader"))
    rules.revision += 1
    assert not (await authorizer.decide(secrets())).allowed


async def test_a_binding_that_is_changed_or_removed_gives_no_more(rules: Rules, authorizer: RbacAuthorizer) -> None:
    rules.role("reader", READ)
    rules.bind("give", "reader", TO_ANN, TO_DBA, namespace="team")
    rules.bind("give", "reader", Subject("User", "bob"), namespace="team")
    assert not (await authorizer.decide(secrets())).allowed
    assert (await authorizer.decide(secrets(user=UserInfo(username="bob")))).allowed
    rules.known.remove_binding(("team", "give"))
    rules.revision += 1
    assert not (await authorizer.decide(secrets(user=UserInfo(username="bob")))).allowed
    assert len(rules.known) == 1
    assert rules.known.grants_of("bob", ()) == []


async def test_masters_may_do_everything_whatever_rules_there_are(rules: Rules, authorizer: RbacAuthorizer) -> None:
    master = UserInfo(username="root", groups=("system:masters",))
    rules.is_away = True
    assert (await authorizer.decide(secrets("adopt", user=master))).allowed
    assert await authorizer.reach(secrets(user=master)) == EVERYTHING
    assert (await authorizer.rules(master, "team")).resources[0].verbs == ("*",)
    with pytest.raises(Unavailable):
        await authorizer.decide(secrets())
    with pytest.raises(Unavailable):
        await authorizer.reach(secrets())
    with pytest.raises(Unavailable):
        await authorizer.rules(ANN, "team")


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("get", "/livez", True),
        ("get", "/readyz/database", True),
        ("get", "/docs/start.js", True),
        ("get", "/version", True),
        ("get", "/versions", False),
        ("post", "/version", False),
        ("get", "/apis", False),
    ],
)
async def test_what_is_open_to_everybody_needs_no_rule(
    rules: Rules, authorizer: RbacAuthorizer, verb: str, path: str, allowed: bool
) -> None:
    rules.is_away = allowed
    nobody = UserInfo(username="system:anonymous")
    assert (await authorizer.decide(Access(user=nobody, verb=verb, path=path))).allowed is allowed


async def test_reach_is_what_names_and_namespaces_add_up_to(rules: Rules, authorizer: RbacAuthorizer) -> None:
    rules.role("one", PolicyRule(verbs=("get",), groups=("",), resources=("secrets",), names=("a",)))
    rules.role("two", PolicyRule(verbs=("get",), groups=("",), resources=("secrets",), names=("b",)))
    rules.role("reader", READ)
    rules.bind("one", "one", TO_ANN)
    rules.bind("two", "two", TO_DBA, namespace="team")
    rules.bind("all", "reader", TO_ANN, namespace="own")
    rules.bind("missing", "missing", TO_ANN, namespace="nowhere")
    reach = await authorizer.reach(secrets(namespace=""))
    assert reach == Reach(everywhere=frozenset({"a"}), within={"team": frozenset({"b"}), "own": None})
    assert [reach.has(*place) for place in (("team", "a"), ("team", "b"), ("team", "c"))] == [True, True, False]
    assert [reach.has(*place) for place in (("own", "c"), ("else", "a"), ("else", "c"))] == [True, True, False]
    assert not reach.is_everything
    assert await authorizer.reach(secrets(namespace="own")) == EVERYTHING
    assert (await authorizer.reach(secrets(namespace="team"))).within == {"team": frozenset({"b"})}
    rules.bind("everywhere", "reader", TO_DBA)
    assert await authorizer.reach(secrets(namespace="")) == EVERYTHING
    assert await authorizer.reach(secrets("watch", namespace="")) == Reach(everywhere=frozenset())


async def test_what_is_open_is_listed_beside_paths_that_do_not_stand_for_it(
    rules: Rules, authorizer: RbacAuthorizer
) -> None:
    rules.role("paths", PolicyRule(verbs=("*",), paths=("/livez*", "/docs")), PolicyRule(verbs=("post",), paths=("*",)))
    rules.bind("paths", "paths", TO_ANN)
    *_, beside = (await authorizer.rules(ANN, "team")).paths
    assert beside.verbs == ("get",)
    assert {"/docs/*", "/version", "/readyz/*"} <= set(beside.paths)
    assert {"/livez", "/livez/*", "/docs"}.isdisjoint(beside.paths)
    rules.role("paths", PolicyRule(verbs=("*",), paths=("*",)))
    assert (await authorizer.rules(ANN, "team")).paths == (PathRule(verbs=("*",), paths=("*",)),)


async def test_the_rules_of_a_user_are_those_of_the_cluster_and_of_the_namespace(
    rules: Rules, authorizer: RbacAuthorizer
) -> None:
    rules.role("reader", READ)
    rules.role("paths", PolicyRule(verbs=("get",), paths=("/apis/*",)))
    rules.role("one", PolicyRule(verbs=("update",), groups=("",), resources=("secrets",), names=("a",)))
    rules.bind("paths", "paths", TO_DBA)
    rules.bind("missing", "missing", TO_ANN)
    rules.bind("one", "one", TO_ANN, namespace="team")
    rules.bind("other", "reader", TO_ANN, namespace="other")
    found = await authorizer.rules(ANN, "team")
    assert found.resources == (ResourceRule(verbs=("update",), groups=("",), resources=("secrets",), names=("a",)),)
    assert found.paths[0] == PathRule(verbs=("get",), paths=("/apis/*",))
    assert "/version" in found.paths[1].paths
    assert found.is_complete


async def test_what_is_remembered_is_bounded(
    rules: Rules, authorizer: RbacAuthorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rbac_authorizer, "_MOST_REMEMBERED", 50)
    rules.role("reader", READ)
    rules.bind("give", "reader", TO_DBA)
    for number in range(200):
        user = UserInfo(username=f"user-{number % 7}", groups=("dba", f"group-{number}"))
        assert (await authorizer.decide(secrets(name=f"{number}", user=user))).allowed
        assert not (await authorizer.reach(secrets("watch", user=user))).is_everything
        memory = authorizer._memory
        kept = sum(1 + len(each.decisions) + len(each.reaches) for each in memory._rights.values())
        assert kept <= 50
    assert (await authorizer.decide(secrets(name="x" * 5_000))).allowed
    assert all("x" * 5_000 not in asked for each in authorizer._memory._rights.values() for asked in each.decisions)


async def test_thousands_of_groups_are_thousands_of_look_ups_once(rules: Rules, authorizer: RbacAuthorizer) -> None:
    rules.role("reader", READ)
    rules.bind("give", "reader", Subject("Group", "group-4999"))
    user = UserInfo(username="ann", groups=tuple(f"group-{number}" for number in range(5_000)))
    assert (await authorizer.decide(secrets(user=user))).reason.endswith('Group "group-4999"')
    [rights] = authorizer._memory._rights.values()
    assert len(rights.given) == 1
