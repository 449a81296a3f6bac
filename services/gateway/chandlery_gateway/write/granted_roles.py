"""Nobody hands out what they do not hold: what the authorizer is asked about roles and bindings that are written.

Comes in: who writes, and what the role or binding hands out (`admission/access/granted_rights.py`).
Goes out: nothing, or Forbidden that names what the writer does not hold, in Kubernetes' words.
Called by: `object_writer`, outside of transactions, since the authorizer may be far away.

Rules: Kubernetes' `ConfirmNoEscalation`. `escalate` on a role lets write any rules into it, `bind` on a role lets give
it to anybody; without them the writer has to hold all that is handed out, in the namespace of the object or, for what
is in none, everywhere. A cluster role that gathers the rules of others may come to hold anything, so only who may do
everything may write one. Of a role that the writer may not read nothing is told, not even whether there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import Forbidden, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.rbac import PolicyRule, RoleRef
from chandlery.process.aside import aside_if
from chandlery.store.database import Database
from chandlery_gateway.admission.access.granted_rights import Grant, GrantedRole, GrantedRules
from chandlery_gateway.identity.authorization import Access, Authorizer, Rules, access_to
from chandlery_gateway.identity.rbac.rule_cover import (
    FULL_AUTHORITY,
    TooManyCombinations,
    described,
    is_quick,
    missing_rules,
    quoted_words,
)
from chandlery_gateway.write.write_requests import WriteRequest

ESCALATE: Final = "escalate"
BIND: Final = "bind"


@dataclass(frozen=True)
class GrantCheck:
    """Asks whether a write may hand out what it does."""

    authorizer: Authorizer
    database: Database

    async def check(self, request: WriteRequest, grant: Grant) -> None:
        """Raises Forbidden if the user may not hand this out; NotFound if a role is not there that they may read."""
        if isinstance(grant, GrantedRules):
            await self._check_rules(request, grant)
        else:
            await self._check_role(request, grant)

    async def _check_rules(self, request: WriteRequest, grant: GrantedRules) -> None:
        if await self._may(request, ESCALATE, request.kind, grant.name):
            return
        await self._confirm(request, grant.rules)
        if grant.gathers and await self._missing(request, FULL_AUTHORITY):
            raise Forbidden("must have cluster-admin privileges to use the aggregationRule")

    async def _check_role(self, request: WriteRequest, grant: GrantedRole) -> None:
        role = grant.role
        kind = kinds.CLUSTER_ROLE if role.kind == kinds.CLUSTER_ROLE.kind else kinds.ROLE
        if await self._may(request, BIND, kind, role.name):
            return
        namespace = request.namespace if kind.namespaced else ""
        rules = await self._rules_of(kind, namespace, role.name)
        reading = access_to(kind, "get", user=request.user, namespace=namespace, name=role.name)
        if (await self.authorizer.decide(reading)).allowed:
            if rules is None:
                raise NotFound(f'{kind.qualified_plural} "{role.name}" not found')
            await self._confirm(request, rules)
        elif rules is None or await self._missing(request, rules):
            raise Forbidden(_may_not_give(request.user, role, kind))

    async def _may(self, request: WriteRequest, verb: str, kind: Kind, name: str) -> bool:
        # A cluster role that is bound in a namespace is asked for there, so that one may be let bind it there alone.
        access = Access(
            user=request.user,
            verb=verb,
            group=kind.group,
            version=kind.version,
            resource=kind.plural,
            namespace=request.namespace,
            name=name,
        )
        return (await self.authorizer.decide(access)).allowed

    async def _rules_of(self, kind: Kind, namespace: str, name: str) -> tuple[PolicyRule, ...] | None:
        found = await self.database.run(lambda unit: unit.objects.get(kind, namespace, name))
        return getattr(found, "rules", None)

    async def _confirm(self, request: WriteRequest, granted: tuple[PolicyRule, ...]) -> None:
        missing = await self._missing(request, granted)
        if missing:
            lines = "\n".join(described(missing))
            who = _who(request.user)
            raise Forbidden(f"{who} is attempting to grant RBAC permissions not currently held:\n{lines}")

    async def _missing(self, request: WriteRequest, granted: Sequence[PolicyRule]) -> Sequence[PolicyRule]:
        if not granted:
            return ()
        held = _held(await self.authorizer.rules(request.user, request.namespace))
        is_large = not is_quick(held, granted)
        try:
            return await aside_if(is_large, lambda: missing_rules(held, granted))
        except TooManyCombinations as error:
            way_out = f'write several smaller ones, or have the verb "{ESCALATE}" or "{BIND}" granted'
            raise Forbidden(
                f"it cannot be checked that {_who(request.user)} holds all that is granted: {error}; {way_out}"
            ) from None


def _held(rules: Rules) -> list[PolicyRule]:
    resources = (
        PolicyRule(
            verbs=each.verbs, api_groups=each.groups, resources=each.resources, resource_names=each.names or None
        )
        for each in rules.resources
    )
    return [*resources, *(PolicyRule(verbs=each.verbs, non_resource_urls=each.paths) for each in rules.paths)]


def _who(user: UserInfo) -> str:
    return f'user "{user.username}" (groups={quoted_words(user.groups or ())})'


def _may_not_give(user: UserInfo, role: RoleRef, kind: Kind) -> str:
    return (
        f'{_who(user)} may not give the {role.kind} "{role.name}" to others: it takes the verb "{BIND}" on '
        f"{kind.qualified_plural}, or holding all that the role allows"
    )
