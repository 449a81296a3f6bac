"""Whether rules that somebody holds cover the rules of a role: Kubernetes' `component-helpers/auth/rbac/validation`.

`missing_rules` says what is not covered, and `described` says that for people. Pure; a rule is looked at as the set of
all combinations of its verbs, groups, resources and names, and each rule held takes its part away. What is left is not
held. Kubernetes takes every rule apart into single combinations instead, of which a rule in one request may have
billions; here the work has a bound, and what is beyond it raises `TooManyCombinations`.

A `*` is covered by a `*` only: however many verbs one holds, they are not all that may ever come.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from chandlery.model.objects.rbac import EVERYTHING, PolicyRule

_LISTS: Final = ("api_groups", "resources", "resource_names", "non_resource_urls")
_ALL_NAMES: Final = frozenset({None})
_MOST_STEPS: Final = 2_000_000
"""Values that are compared for one question: a tenth of a second at most, which is for a thread (`is_quick`)."""
_FEW_STEPS: Final = 50_000
_MOST_RULES: Final = 5_000
_MOST_LINES: Final = 100


class TooManyCombinations(ValueError):
    """The rules have so many combinations that comparing them would take too long."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """Verbs on resources, or on paths: all combinations of them. `names` has None alone if it is for all objects."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str | None] = _ALL_NAMES
    paths: frozenset[str] = frozenset()

    size: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        size = len(self.verbs) + len(self.groups) + len(self.resources) + len(self.names) + len(self.paths)
        object.__setattr__(self, "size", size)


FULL_AUTHORITY: Final = (
    PolicyRule(verbs=(EVERYTHING,), api_groups=(EVERYTHING,), resources=(EVERYTHING,)),
    PolicyRule(verbs=(EVERYTHING,), non_resource_urls=(EVERYTHING,)),
)
"""What a cluster's administrator holds, and nobody who holds less."""


def covers(held: Iterable[PolicyRule], granted: Iterable[PolicyRule]) -> bool:
    """Whether all that is granted is held. Raises TooManyCombinations."""
    return not missing_rules(held, granted)


def is_quick(held: Sequence[PolicyRule], granted: Sequence[PolicyRule]) -> bool:
    """Whether the two are compared in a few milliseconds, so that the event loop need not be spared."""
    return _words(held) * (len(granted) + 1) + _words(granted) * (len(held) + 1) < _FEW_STEPS


def _words(rules: Sequence[PolicyRule]) -> int:
    lists = ((rule.verbs, *(getattr(rule, name) or () for name in _LISTS)) for rule in rules)
    return sum(len(words) for each in lists for words in each)


def missing_rules(held: Iterable[PolicyRule], granted: Iterable[PolicyRule]) -> tuple[PolicyRule, ...]:
    """What of the granted rules is not held; empty if they are covered. Each of them has one kind of thing in it.

    Raises:
        TooManyCombinations: it would take too long to tell.
    """
    held = tuple(held)
    # What is held word for word is most of it, as a rule, and quickly told.
    same = {grant for rule in held[:_MOST_RULES] for grant in _grants(rule)}
    wanted = islice((grant for rule in granted for grant in _grants(rule)), _MOST_RULES + 1)
    left = [grant for grant in dict.fromkeys(wanted) if grant not in same]
    if len(left) > _MOST_RULES:
        raise TooManyCombinations("the role has too many rules to be compared with those that are held")
    steps = 0
    for owner in (grant for rule in held for grant in _grants(rule)):
        if not left:
            break
        steps += owner.size
        rest: list[_Grant] = []
        for grant in left:
            steps += _cost(grant, owner)
            if steps > _MOST_STEPS:
                message = "the rules have too many combinations to be compared with those that are held"
                raise TooManyCombinations(message)
            rest += (grant,) if _have_nothing_in_common(grant, owner) else _without(grant, owner)
        left = rest
    return tuple(_rule(grant) for grant in left)


def described(rules: Sequence[PolicyRule]) -> tuple[str, ...]:
    """A line for each resource, or path, with the verbs on it: `{APIGroups:[""], Resources:["a"], Verbs:["get"]}`."""
    lines = set[str]()
    for rule in rules:
        for part in _lines(rule):
            lines.add(_compact(part))
            if len(lines) > _MOST_LINES:
                return (*sorted(lines)[:_MOST_LINES], "and more")
    return tuple(sorted(lines))


def _grants(rule: PolicyRule) -> Iterator[_Grant]:
    """The rule as up to two grants, for one of resources never meets one of paths."""
    verbs = frozenset(rule.verbs)
    if rule.resources and rule.api_groups and verbs:
        names = frozenset(rule.resource_names) if rule.resource_names else _ALL_NAMES
        yield _Grant(verbs, frozenset(rule.api_groups), frozenset(rule.resources), names)
    if rule.non_resource_urls and verbs:
        yield _Grant(verbs, paths=frozenset(rule.non_resource_urls))


def _cost(grant: _Grant, owner: _Grant) -> int:
    if grant.paths and owner.paths:
        # Each path may begin with each of the others.
        return 4 + len(grant.paths) * len(owner.paths) // 8
    return 4 + grant.size


def _have_nothing_in_common(grant: _Grant, owner: _Grant) -> bool:
    """A quick look, which most pairs do not pass; what it lets through may still have nothing in common."""
    if bool(grant.paths) != bool(owner.paths):
        return True
    is_other_group = EVERYTHING not in owner.groups and grant.groups.isdisjoint(owner.groups)
    return (is_other_group and not grant.paths) or (
        EVERYTHING not in owner.verbs and grant.verbs.isdisjoint(owner.verbs)
    )


def _without(grant: _Grant, owner: _Grant) -> Iterator[_Grant]:
    """What is left of the grant without what the owner has of it, in parts that have nothing in common."""
    taken: dict[str, frozenset[Any]] = {"verbs": _of_words(grant.verbs, owner.verbs)}
    if grant.paths:
        taken["paths"] = _of_paths(grant.paths, owner.paths)
    else:
        taken["groups"] = _of_words(grant.groups, owner.groups)
        taken["resources"] = _of_resources(grant.resources, owner.resources)
        taken["names"] = grant.names if owner.names is _ALL_NAMES else grant.names & owner.names
    if not all(taken.values()):
        yield grant
        return
    for part, values in taken.items():
        changed: dict[str, Any] = {part: getattr(grant, part) - values}
        if changed[part]:
            yield replace(grant, **changed)
        grant = replace(grant, **{**changed, part: values})


def _of_words(wanted: frozenset[str], owned: frozenset[str]) -> frozenset[str]:
    return wanted if EVERYTHING in owned else wanted & owned


def _of_resources(wanted: frozenset[str], owned: frozenset[str]) -> frozenset[str]:
    if EVERYTHING in owned:
        return wanted
    everywhere = {each for each in owned if each.startswith("*/")}
    found = wanted & owned
    # Of a whole resource there is no `*/`.
    return found | {each for each in wanted if "/" in each and f"*/{each.partition('/')[2]}" in everywhere}


def _of_paths(wanted: frozenset[str], owned: frozenset[str]) -> frozenset[str]:
    found = wanted & owned
    begins = tuple(each.rstrip("*") for each in owned if each.endswith("*"))
    # A tuple of beginnings is compared in one call; there is one for each rule that is held.
    return found | {each for each in wanted if each.startswith(begins)} if begins else found


def _rule(grant: _Grant) -> PolicyRule:
    if grant.paths:
        return PolicyRule(verbs=_sorted(grant.verbs), non_resource_urls=_sorted(grant.paths))
    names = _sorted(name for name in grant.names if name is not None)
    return PolicyRule(
        verbs=_sorted(grant.verbs),
        api_groups=_sorted(grant.groups),
        resources=_sorted(grant.resources),
        resource_names=names or None,
    )


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(values))


def _lines(rule: PolicyRule) -> Iterator[PolicyRule]:
    for path in rule.non_resource_urls or ():
        yield PolicyRule(verbs=rule.verbs, non_resource_urls=(path,))
    for group in rule.api_groups or ():
        for resource in rule.resources or ():
            for name in rule.resource_names or (None,):
                names = None if name is None else (name,)
                yield PolicyRule(verbs=rule.verbs, api_groups=(group,), resources=(resource,), resource_names=names)


_PARTS: Final[tuple[tuple[str, Callable[[PolicyRule], tuple[str, ...] | None]], ...]] = (
    ("APIGroups", lambda rule: rule.api_groups),
    ("Resources", lambda rule: rule.resources),
    ("NonResourceURLs", lambda rule: rule.non_resource_urls),
    ("ResourceNames", lambda rule: rule.resource_names),
    ("Verbs", lambda rule: rule.verbs),
)


def _compact(rule: PolicyRule) -> str:
    """As Kubernetes' `CompactString`."""
    parts = ((label, read(rule)) for label, read in _PARTS)
    return "{" + ", ".join(f"{label}:{quoted_words(values)}" for label, values in parts if values) + "}"


def quoted_words(values: Iterable[str]) -> str:
    """Words as Go's `%q` prints a list of them: `["a" "b"]`."""
    return f"[{' '.join(json.dumps(each, ensure_ascii=False) for each in values)}]"
