"""What a decision and keeping many rules cost, in CPU time: `python tests/benchmarks/costs/decision_cost.py`.

A thousand roles of three rules and ten thousand bindings, some of them to each user; then a hundred thousand rules.
"""

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Final

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access
from chandlery_gateway.identity.rbac.policy_rules import PolicyRule, Role
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, Binding, RuleIndex, Subject

_ROLES, _BINDINGS, _NAMESPACES, _USERS = 1_000, 10_000, 500, 2_000
_DECISIONS: Final = 20_000
_ROUNDS: Final = 5
_GROUP: Final = "servicecatalog.k8s.io"


class _Rules:
    """Rules that do not change but when the benchmark says so."""

    def __init__(self, index: RuleIndex) -> None:
        self.index = index
        self.revision = 0


def _role(number: int, rules: int = 3) -> Role:
    resources = ("serviceinstances", "servicebindings", f"kind-{number}")
    verbs = ("get", "list", "watch")
    return Role([PolicyRule(verbs=verbs, groups=(_GROUP,), resources=(*resources, f"r-{at}")) for at in range(rules)])


def _filled() -> RuleIndex:
    index = RuleIndex()
    for number in range(_ROLES):
        index.put_role((CLUSTER, f"role-{number}"), _role(number))
    for number in range(_BINDINGS):
        index.put_binding(
            Binding(
                namespace=f"namespace-{number % _NAMESPACES}",
                name=f"binding-{number}",
                role_kind="ClusterRole",
                role_name=f"role-{number % _ROLES}",
                subjects=(Subject("User", f"user-{number % _USERS}"), Subject("Group", f"group-{number % 100}")),
            )
        )
    return index


def _user(number: int) -> UserInfo:
    groups = (f"group-{number % 100}", f"group-{number % 99}", "system:authenticated")
    return UserInfo(username=f"user-{number % _USERS}", groups=groups)


def _best(work: Callable[[], None]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


def _microseconds(rules: _Rules, accesses: Sequence[Access], *, changes: bool) -> float:
    """Of one decision; `changes` has a rule change before each, so that nothing is remembered."""
    authorizer = RbacAuthorizer(rules)

    async def decide() -> None:
        for access in accesses:
            rules.revision += changes
            await authorizer.decide(access)

    return _best(lambda: asyncio.run(decide())) / len(accesses) * 1e6


def _main() -> None:
    tracemalloc.start()
    index = _filled()
    kept = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    print(f"{_BINDINGS} bindings to {_ROLES} roles take {kept:.1f} MB")
    rules = _Rules(index)
    users = [_user(number) for number in range(_USERS)]
    asked = [
        Access(
            user=users[number % _USERS],
            verb="get",
            group=_GROUP,
            resource="serviceinstances",
            namespace=f"namespace-{number % _NAMESPACES}",
            name=f"db-{number % 5}",
        )
        for number in range(_DECISIONS)
    ]
    print(f"known before            {_microseconds(rules, asked[:2_000], changes=False):6.2f} µs")
    print(f"after a rule has changed {_microseconds(rules, asked[:2_000], changes=True):6.2f} µs")
    refused = [Access(user=users[0], verb="delete", resource="secrets", namespace="namespace-0")] * 2_000
    print(f"refused, after a change {_microseconds(rules, refused, changes=True):6.2f} µs")

    many = RuleIndex()
    begun = time.process_time()
    subjects = (Subject("User", "user-0"),)
    for number in range(100):
        many.put_role((CLUSTER, f"role-{number}"), _role(number, rules=1_000))
        many.put_binding(
            Binding(
                namespace=CLUSTER,
                name=f"b-{number}",
                role_kind="ClusterRole",
                role_name=f"role-{number}",
                subjects=subjects,
            )
        )
    print(f"100,000 rules are kept after {time.process_time() - begun:.2f} s")
    rules = _Rules(many)
    begun = time.process_time()
    asyncio.run(RbacAuthorizer(rules).decide(refused[0]))
    print(f"the first that they refuse takes {(time.process_time() - begun) * 1e3:.1f} ms")
    print(f"the next, after a change {_microseconds(rules, refused[:50], changes=True):6.2f} µs")


if __name__ == "__main__":
    _main()
