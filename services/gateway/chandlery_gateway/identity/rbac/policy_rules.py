"""What a role allows. Pure; the semantics are Kubernetes' (rbac.authorization.k8s.io/v1, `PolicyRule`), to the letter.

A role is asked far more often than it is written, so `Role` has its rules by the resource that they speak of: one with
ten thousand names costs a decision no more than one with a single name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chandlery_gateway.identity.authorization import Access

ALL: Final = "*"
_ALL_OF: Final = "*/"
_FEW_RESOURCES: Final = 8

Names = frozenset[str] | None
"""Names of objects; None stands for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """Verbs with resources, or with paths that are none."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    """`secrets`, `serviceinstances/status`, `*/status`, `*`."""
    names: tuple[str, ...] = ()
    """Empty means all objects."""
    paths: tuple[str, ...] = ()
    """`/version`, `/docs/*`, `*`."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the rules of one resource that have verbs and groups in common allow."""

    verbs: frozenset[str]
    groups: frozenset[str]
    names: Names

    def speaks_of(self, verb: str, group: str) -> bool:
        return (verb in self.verbs or ALL in self.verbs) and (group in self.groups or ALL in self.groups)


class Role:
    """The rules of one role, or of one cluster role."""

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        self.rules = tuple(rules)
        # Now, and not when it is first asked: whoever reads many takes breath between them.
        self._about_paths = tuple(rule for rule in self.rules if rule.paths)
        self._by_resource = _by_resource(self.rules)

    def allows(self, access: Access) -> bool:
        """Whether one of the rules allows this."""
        if access.path:
            return any(_allows_path(rule, access.verb, access.path) for rule in self._about_paths)
        return any(entry.names is None or access.name in entry.names for entry in self._entries(access))

    def names(self, access: Access) -> Names:
        """The objects that the rules allow this with, whatever name the access has."""
        found: set[str] = set()
        for entry in self._entries(access):
            if entry.names is None:
                return None
            found |= entry.names
        return frozenset(found)

    def _entries(self, access: Access) -> Iterator[_Entry]:
        for word in _words(access.resource, access.subresource):
            for entry in self._by_resource.get(word, ()):
                if entry.speaks_of(access.verb, access.group):
                    yield entry


def _by_resource(rules: Sequence[PolicyRule]) -> dict[str, list[_Entry]]:
    merged: dict[str, dict[tuple[frozenset[str], frozenset[str]], set[str] | None]] = {}
    alone: dict[str, list[_Entry]] = {}
    for rule in rules:
        key = (_set_of(rule.verbs), _set_of(rule.groups))
        if rule.names and len(rule.resources) > _FEW_RESOURCES:
            # Names that were copied for each of many resources would take room for all combinations of the two.
            shared = _Entry(*key, frozenset(rule.names))
            for resource in rule.resources:
                alone.setdefault(resource, []).append(shared)
            continue
        for resource in rule.resources:
            entries = merged.setdefault(resource, {})
            known = entries.setdefault(key, set())
            if not rule.names:
                entries[key] = None
            elif known is not None:
                known.update(rule.names)
    return {
        resource: [
            *(
                _Entry(*key, None if names is None else frozenset(names))
                for key, names in merged.get(resource, {}).items()
            ),
            *alone.get(resource, ()),
        ]
        for resource in (merged | alone)
    }


@lru_cache(maxsize=1_000)
def _set_of(words: tuple[str, ...]) -> frozenset[str]:
    """Shared by rules that have the same words, as most do."""
    return frozenset(words)


def _words(resource: str, subresource: str) -> tuple[str, ...]:
    """What a rule may call the resource."""
    if subresource:
        return ALL, f"{resource}/{subresource}", f"{_ALL_OF}{subresource}"
    return ALL, resource


def _allows_path(rule: PolicyRule, verb: str, path: str) -> bool:
    return (verb in rule.verbs or ALL in rule.verbs) and any(is_path_covered(each, path) for each in rule.paths)


def is_path_covered(rule_path: str, path: str) -> bool:
    """Whether a path of a rule stands for this one; a `*` at its end stands for anything."""
    return rule_path == path or (rule_path.endswith(ALL) and path.startswith(rule_path.rstrip(ALL)))
