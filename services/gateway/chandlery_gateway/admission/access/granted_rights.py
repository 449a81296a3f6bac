"""What a role or a binding hands out, as its writer will be asked about it. Pure; `write/granted_roles.py` asks.

Nobody may hand out what they do not hold, unless they were given the verb `escalate` (roles) or `bind` (bindings).
Rules: Kubernetes' `pkg/registry/rbac/*/policybased`; a change of nothing but finalizers and owners hands out nothing,
so that the garbage collector's finalizers can be taken off by anybody who may write the object.
"""

from dataclasses import dataclass
from typing import Final

from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.rbac import AnyRole, PolicyRule, RoleRef

_FREE_METADATA: Final = ("owner_references", "finalizers", "managed_fields")


@dataclass(frozen=True, slots=True)
class GrantedRules:
    """The rules of a role that is written, and whether it gathers, or has gathered, those of others."""

    name: str
    rules: tuple[PolicyRule, ...]
    gathers: bool = False


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """The role that a binding gives to its subjects."""

    role: RoleRef


Grant = GrantedRules | GrantedRole


def granted_by_role(role: AnyRole, *, old: AnyRole | None = None) -> GrantedRules:
    """What the role hands out as it is to be."""
    gathers = any(getattr(each, "aggregation_rule", None) is not None for each in (role, old))
    return GrantedRules(role.metadata.name, role.rules, gathers)


def hands_out_nothing_new(old: AnyObject, new: AnyObject) -> bool:
    """Whether nothing has changed but what Kubernetes' garbage collector takes off."""
    before, after = old.metadata, new.metadata
    same = after.model_copy(update={field: getattr(before, field) for field in _FREE_METADATA})
    return same == before and new.model_copy(update={"metadata": before}) == old
