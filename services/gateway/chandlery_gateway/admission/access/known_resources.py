"""Resources that rules may speak of: those that are served here, and what access is asked for beside them.

A rule may name others, such as those of a cluster that it was copied from, or of a release to come. It is stored, and
its writer is told, for more often than not it is a slip. `auth can-i` of kubectl warns in the same way.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from chandlery.model.objects.rbac import EVERYTHING, PolicyRule
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import did_you_mean
from chandlery_gateway.kube.kinds.review_kinds import AUTHENTICATION
from chandlery_gateway.kube.kinds.served_kinds import KNOWN_KINDS

_NOT_SERVED: Final = (("", "users"), ("", "groups"), ("", "serviceaccounts/token"), (AUTHENTICATION, "uids"))
"""What `impersonate` is asked for, and what is made and never read."""
_USER_EXTRAS: Final = "userextras/"
_MOST_WARNINGS: Final = 5
_MOST_GROUPS: Final = 3
_MOST_LOOKED_UP: Final = 2_000
"""Resources of one role: the rest is taken as it is."""


def unknown_resources(rules: Iterable[PolicyRule]) -> tuple[str, ...]:
    """A sentence for each resource that nothing serves; not more than a few."""
    found = list[str]()
    for warning in _warnings(rules):
        if len(found) == _MOST_WARNINGS:
            return (*found, "further rules name resources that are not served here")
        found.append(warning)
    return tuple(found)


def _warnings(rules: Iterable[PolicyRule]) -> Iterator[str]:
    left = _MOST_LOOKED_UP
    for position, rule in enumerate(rules):
        groups = frozenset(rule.api_groups or ())
        resources = (rule.resources or ())[:left]
        left -= len(resources)
        for index, resource in enumerate(resources):
            if groups.isdisjoint(_groups_of(resource)):
                where = f"rules[{position}].resources[{index}]"
                there = ", ".join(quoted(group) for group in (rule.api_groups or ())[:_MOST_GROUPS])
                what = f"the resource {quoted(resource)} in API group {there}"
                yield f"{where}: nothing here serves {what}{_meant(resource)}"


def _meant(resource: str) -> str:
    groups = sorted(_served().get(resource, frozenset()) - {EVERYTHING})
    if groups:
        return f"; it is in API group {' and '.join(map(quoted, groups))}"
    return did_you_mean(resource, _served())


def _groups_of(resource: str) -> frozenset[str]:
    """The API groups in which there is such a resource."""
    if resource == EVERYTHING or resource.startswith("*/"):
        return frozenset({EVERYTHING}).union(*_served().values())
    if resource.startswith(_USER_EXTRAS):
        return frozenset({EVERYTHING, AUTHENTICATION})
    return _served().get(resource, frozenset())


@cache
def _served() -> dict[str, frozenset[str]]:
    """Resource -> the groups that have it; `*` is one of them."""
    known = [(kind.group, kind.plural) for kind in KNOWN_KINDS]
    known += [(kind.group, f"{kind.plural}/status") for kind in KNOWN_KINDS if kind.has_status]
    found: dict[str, frozenset[str]] = {}
    for group, resource in (*known, *_NOT_SERVED):
        found[resource] = found.get(resource, frozenset({EVERYTHING})) | {group}
    return found
