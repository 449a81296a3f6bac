"""Decides what users may do by roles and bindings, from memory: nothing is allowed that no role allows.

Comes in: an access, or a user whose rules somebody wants to read. Goes out: whether it is allowed and by which binding,
in Kubernetes' words. Called by: the pipeline, the write side, reviews; all through the protocol `Authorizer`.

Members of `system:masters` may do everything, whatever roles there are, as in Kubernetes: so that a wrong rule locks
nobody out who could mend it. What is decided is remembered until a rule changes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import (
    EVERYTHING,
    Access,
    Decision,
    Names,
    PathRule,
    Reach,
    ResourceRule,
    Rules,
)
from chandlery_gateway.identity.rbac.policy_rules import ALL, PolicyRule, is_path_covered
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, Grant, Grants, Place, RuleIndex

MASTERS: Final = "system:masters"
_READ: Final = "get"
_OPEN_PATHS: Final = tuple(
    f"{path}{end}"
    for path in ("/livez", "/readyz", "/healthz", "/version", "/docs", "/.well-known/chandlery")
    for end in ("", "/*")
)
_ALL_RESOURCES: Final = ResourceRule(verbs=(ALL,), groups=(ALL,), resources=(ALL,))
_ALL_PATHS: Final = PathRule(verbs=(ALL,), paths=(ALL,))
_MOST_REMEMBERED: Final = 20_000
_MOST_CHARACTERS: Final = 1_000
"""What is asked with longer words is decided anew each time, so that memory stays within bounds."""

_FREE: Final = Decision(allowed=True, reason="this path is open to everybody, even without a token")
_MASTER: Final = Decision(allowed=True, reason=f'members of the group "{MASTERS}" may do everything')
_NO_RULE: Final = Decision(allowed=False)


class CurrentRules(Protocol):
    """The rules, in step with the database."""

    revision: int

    @property
    def index(self) -> RuleIndex:
        """The rules. Raises Unavailable if it is not known whether they are still those of the database."""


class RbacAuthorizer:
    """See Authorizer."""

    def __init__(self, rules: CurrentRules) -> None:
        self._rules = rules
        self._memory = _Memory(-1)

    @property
    def revision(self) -> int:
        """See Authorizer."""
        return self._rules.revision

    async def decide(self, access: Access) -> Decision:
        """See Authorizer."""
        if MASTERS in (access.user.groups or ()):
            return _MASTER
        if access.path and access.verb == _READ and _is_open(access.path):
            return _FREE
        index = self._rules.index
        rights = self._current_memory().rights_of(access.user, index)
        asked = (
            access.verb,
            access.group,
            access.resource,
            access.subresource,
            access.namespace,
            access.name,
            access.path,
        )
        known = rights.decisions.get(asked)
        if known is None:
            known = _decided(access, rights, index)
            if sum(map(len, asked)) <= _MOST_CHARACTERS:
                self._memory.keep(rights, asked, known)
        return known

    async def reach(self, access: Access) -> Reach:
        """See Authorizer."""
        if MASTERS in (access.user.groups or ()):
            return EVERYTHING
        index = self._rules.index
        rights = self._current_memory().rights_of(access.user, index)
        asked = (access.verb, access.group, access.resource, access.subresource, access.namespace)
        known = rights.reaches.get(asked)
        if known is None:
            known = _reached(access, rights, index)
            self._memory.keep_reach(rights, asked, known)
        return known

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        """See Authorizer."""
        if MASTERS in (user.groups or ()):
            return Rules(resources=(_ALL_RESOURCES,), paths=(_ALL_PATHS,))
        index = self._rules.index
        held = list(_rules_of(_Rights.of(user, index).grants(namespace), index))
        paths = [PathRule(verbs=rule.verbs, paths=rule.paths) for rule in held if rule.paths]
        return Rules(
            resources=tuple(
                ResourceRule(verbs=rule.verbs, groups=rule.groups, resources=rule.resources, names=rule.names)
                for rule in held
                if rule.resources
            ),
            paths=(*paths, *_open_rules(paths)),
        )

    def _current_memory(self) -> "_Memory":
        if self._memory.revision != self._rules.revision:
            self._memory = _Memory(self._rules.revision)
        return self._memory


def _is_open(path: str) -> bool:
    return any(is_path_covered(each, path) for each in _OPEN_PATHS)


def _open_rules(held: Iterable[PathRule]) -> Iterator[PathRule]:
    """What everybody may read beside the paths that somebody has been given."""
    given = [path for rule in held if _READ in rule.verbs or ALL in rule.verbs for path in rule.paths]
    paths = tuple(path for path in _OPEN_PATHS if not any(is_path_covered(each, path) for each in given))
    if paths:
        yield PathRule(verbs=(_READ,), paths=paths)


@dataclass(slots=True)
class _Rights:
    """What one user has been given, and what has been decided for them."""

    given: list[Grants]
    decisions: dict[tuple[str, ...], Decision] = field(default_factory=dict)
    reaches: dict[tuple[str, ...], Reach] = field(default_factory=dict)

    @classmethod
    def of(cls, user: UserInfo, index: RuleIndex) -> "_Rights":
        return cls(index.grants_of(user.username, user.groups or ()))

    def grants(self, namespace: str) -> Iterator[Grant]:
        """Those that count in the namespace: first those for all of them, each role once."""
        seen: set[Place] = set()
        for place in dict.fromkeys((CLUSTER, namespace)):
            for grants in self.given:
                for grant in grants.get(place, {}).values():
                    if grant.binding.role not in seen:
                        seen.add(grant.binding.role)
                        yield grant

    def namespaces(self) -> Iterable[str]:
        """Where anything is given."""
        return {namespace for grants in self.given for namespace in grants}


class _Memory:
    """What has been decided by one state of the rules."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self._rights: dict[tuple[str, tuple[str, ...]], _Rights] = {}
        self._kept = 0

    def rights_of(self, user: UserInfo, index: RuleIndex) -> _Rights:
        groups = user.groups or ()
        key = (user.username, groups)
        rights = self._rights.get(key)
        if rights is None:
            self._make_room(1 + len(groups))
            rights = self._rights[key] = _Rights.of(user, index)
        return rights

    def keep(self, rights: _Rights, asked: tuple[str, ...], decision: Decision) -> None:
        self._make_room(1)
        rights.decisions[asked] = decision

    def keep_reach(self, rights: _Rights, asked: tuple[str, ...], reach: Reach) -> None:
        self._make_room(1 + len(reach.everywhere or ()) + sum(len(names or ()) for names in reach.within.values()))
        rights.reaches[asked] = reach

    def _make_room(self, count: int) -> None:
        self._kept += count
        if self._kept > _MOST_REMEMBERED:
            self._kept = count
            self._rights.clear()


def _decided(access: Access, rights: _Rights, index: RuleIndex) -> Decision:
    for grant in rights.grants(CLUSTER if access.path else access.namespace):
        role = index.roles.get(grant.binding.role)
        if role is not None and role.allows(access):
            return Decision(allowed=True, reason=f"RBAC: allowed by {grant}")
    return _NO_RULE


def _reached(access: Access, rights: _Rights, index: RuleIndex) -> Reach:
    everywhere = _names(access, rights, index, CLUSTER)
    if everywhere is None:
        return EVERYTHING
    places = [access.namespace] if access.namespace else [each for each in rights.namespaces() if each != CLUSTER]
    within = {place: names for place in places if (names := _names(access, rights, index, place)) != frozenset()}
    if access.namespace and within.get(access.namespace, frozenset()) is None:
        return EVERYTHING
    return Reach(everywhere=everywhere, within=within)


def _names(access: Access, rights: _Rights, index: RuleIndex, place: str) -> Names:
    """What the bindings of one namespace, or those for all of them, allow it with."""
    found: set[str] = set()
    for grants in rights.given:
        for grant in grants.get(place, {}).values():
            role = index.roles.get(grant.binding.role)
            names = role.names(access) if role is not None else frozenset()
            if names is None:
                return None
            found |= names
    return frozenset(found)


def _rules_of(grants: Iterable[Grant], index: RuleIndex) -> Iterator[PolicyRule]:
    for grant in grants:
        role = index.roles.get(grant.binding.role)
        yield from role.rules if role is not None else ()
