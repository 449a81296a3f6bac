"""Keeps roles and bindings in memory in step with the database, on every gateway. See ADR on authorization.

Comes in: everything that is stored when it begins, and again whenever it may have missed something; then every change
of a role or binding, which `watch_hub` reads along with the change log. Goes out: the rules, and whether they are
current. Called by: `watch_hub`; `rbac_authorizer` asks.

Rules that may be old decide nothing: for as long as the log cannot be read, requests are answered 503, but for those of
`system:masters`, who need no rule.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from chandlery.model.faults import Fault, Unavailable
from chandlery.model.objects.kinds import RBAC_KINDS, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.store.access.access_rules import StoredRule
from chandlery.store.breaths import Breaths
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, RuleIndex
from chandlery_gateway.identity.rbac.stored_rules import ROLE_KINDS, Unreadable, read_binding, read_role

_PART: Final = 500
_TRUSTED_SECONDS: Final = 10.0
"""For how long rules count without news of the change log; it is read twice a second at least."""

log = structlog.get_logger(__name__)

Key = tuple[str, str, str]
"""Kind, namespace and name."""


class RuleKeeper:
    """The rules of this gateway. See CurrentRules."""

    def __init__(self, database: Database, *, trusted_seconds: float = _TRUSTED_SECONDS) -> None:
        self.revision = 0
        self._database = database
        self._trusted_seconds = trusted_seconds
        self._index = RuleIndex()
        self._positions: dict[Key, int] = {}
        """The last change that is known of each of them."""
        self.applied: set[int] = set()
        """Changes beyond the horizon that have been absorbed before their turn."""
        self.must_load = True
        """Whether something may have been missed."""
        self._read_at: float | None = None
        """When what is known was the newest, by the monotonic clock; None while nothing is known."""

    @property
    def index(self) -> RuleIndex:
        """See CurrentRules."""
        if (failure := self._failure()) is not None:
            raise Unavailable(failure)
        return self._index

    async def check(self) -> None:
        """A part of readiness; raises Unavailable while nothing is decided by the rules."""
        if (failure := self._failure()) is not None:
            raise Unavailable(failure)

    async def load(self) -> None:
        """Read everything, unless it is known already and nothing can have been missed."""
        if not self.must_load:
            return
        index, positions = RuleIndex(), dict[Key, int]()
        begun = time.monotonic()
        for kind in RBAC_KINDS:
            await self._load_kind(kind, index, positions)
        self._index, self._positions, self.applied = index, positions, set()
        self.must_load, self._read_at = False, begun
        self.revision += 1
        log.info(f"access rules loaded: {len(index)} roles and bindings", action="load_access_rules")

    def lose(self) -> None:
        """Something may have been missed: the next look begins with reading everything."""
        self.must_load = True

    async def absorb(self, changes: Sequence[LoggedChange], *, begun: float, passed: int) -> None:
        """Go on by these changes, in order; those at or before `passed` are never told of again.

        `begun` is when the log was read, by the monotonic clock.
        """
        breaths, first = Breaths(), self.revision
        for change in changes:
            key = (change.kind, change.namespace, change.name)
            # What is older was read when everything was.
            if change.position not in self.applied and change.position > self._positions.get(key, 0):
                self._apply(key, change)
                self.revision = first + 1
                await breaths.take()
            self.applied.add(change.position)
        self.applied = {position for position in self.applied if position > passed}
        self._read_at = begun
        # Once more, for what was decided in between.
        self.revision += self.revision != first

    async def _load_kind(self, kind: Kind, index: RuleIndex, positions: dict[Key, int]) -> None:
        after: tuple[str, str] | None = None
        breaths = Breaths()
        while True:
            part = await self._database.run(partial(_part, kind, after))
            for rule in part:
                positions[kind.kind, rule.namespace, rule.name] = rule.position
                _put(index, rule)
                await breaths.take()
            if len(part) < _PART:
                return
            after = (part[-1].namespace, part[-1].name)

    def _apply(self, key: Key, change: LoggedChange) -> None:
        if change.verb is ChangeVerb.DELETED:
            self._positions.pop(key, None)
            _remove(self._index, key)
        else:
            self._positions[key] = change.position
            _put(self._index, StoredRule(*key, position=change.position, body=_body(change)))

    def _failure(self) -> str | None:
        if self._read_at is None:
            return "the access rules have not been read yet"
        seconds = time.monotonic() - self._read_at
        if seconds > self._trusted_seconds:
            return f"the access rules have not been read for {seconds:.0f} s, so nothing is decided by them"
        return None


async def _part(kind: Kind, after: tuple[str, str] | None, unit: UnitOfWork) -> Sequence[StoredRule]:
    return await unit.access_rules.part(kind, after, limit=_PART)


def _put(index: RuleIndex, rule: StoredRule) -> None:
    """What cannot be read is as good as removed: what it said before must not go on allowing anything."""
    place = (rule.namespace, rule.name)
    try:
        if rule.body is None:
            raise Unreadable("its rules are not an object")
        if rule.kind in ROLE_KINDS:
            index.put_role(place, read_role(rule.body))
        else:
            index.put_binding(read_binding(rule.kind, *place, rule.body))
    except Unreadable as error:
        _remove(index, (rule.kind, *place))
        log.error(  # noqa: TRY400 - where it was read does not matter
            f"the {rule.kind} cannot be read and allows nothing: {error}",
            action="load_access_rules",
            kind=rule.kind,
            namespace=rule.namespace or CLUSTER,
            name=rule.name,
        )


def _remove(index: RuleIndex, key: Key) -> None:
    kind, *place = key
    if kind in ROLE_KINDS:
        index.remove_role((place[0], place[1]))
    else:
        index.remove_binding((place[0], place[1]))


def _body(change: LoggedChange) -> JsonObject | None:
    try:
        return change.stored
    except Fault:
        return None
