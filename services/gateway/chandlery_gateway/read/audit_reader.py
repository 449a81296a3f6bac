"""Reads the audit log for those who may list it: one event, or pages of what a field selector names, newest first.

Every field that can be selected by has an index in which equal values stand in the order of time, so that the newest
page of whatever is selected costs what it shows. A list without a limit is a page of 500: nobody wants a month at once,
and whoever does goes on with its token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chandlery.model.faults import BadRequest, NotFound
from chandlery.reconcile.policies.label_selectors import Operator, Selector
from chandlery.store.audit.audit_entries import AuditFilter
from chandlery.store.database import Database
from chandlery_gateway.kube.kinds.audit_kinds import as_object
from chandlery_gateway.read.continue_tokens import PURPOSE, ContinueToken, ContinueTokens
from chandlery_gateway.read.object_reader import Page
from chandlery_gateway.read.since_selector import SINCE, given_twice, moment_of

_PAGE: Final = 500
_COLUMNS: Final[Mapping[str, str]] = {
    "metadata.name": "name",
    "user": "username",
    "user.username": "username",
    "verb": "verb",
    "objectRef.resource": "resource",
    "objectRef.namespace": "namespace",
    "objectRef.name": "object_name",
    "responseStatus.code": "code",
}
_CODE: Final = "code"
_MOST_DIGITS: Final = 3


class AuditReader:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens = ContinueTokens(database.keyring.derived(PURPOSE))

    async def get(self, name: str) -> dict[str, Any]:
        """One event; raises NotFound."""
        text = await self._database.run(lambda unit: unit.audit.get(name))
        if text is None:
            raise NotFound
        return as_object(name, text)

    async def list(self, selector: Selector, *, text: str, limit: int, token: str) -> Page:
        """A page of events, the newest first. `text` is the selector as it was sent, of which a token is part.

        Raises BadRequest for a selector that makes no sense or a token of another list, Expired for one too old.
        """
        wanted, of = filter_of(selector, self._database), f"auditevents?{text}"
        if token:
            wanted = replace(wanted, before=self._tokens.read(token, of=of).name)
        most = min(limit, _PAGE) if limit else _PAGE
        found = await self._database.run(lambda unit: unit.audit.find(wanted, limit=most + 1))
        items = [as_object(name, event) for name, event in found[:most]]
        following = None
        if len(found) > most:
            following = self._tokens.write(ContinueToken(of, "", found[most - 1][0], None))
        return Page(items, "", following)


@dataclass(slots=True)
class _Gathered:
    where: list[tuple[str, str | int]] = field(default_factory=list)
    where_not: list[tuple[str, str | int]] = field(default_factory=list)


def filter_of(selector: Selector, database: Database) -> AuditFilter:
    """Which events the selector means. Raises BadRequest."""
    gathered, wanted, given = _Gathered(), AuditFilter(), set[str]()
    for requirement in selector.requirements:
        [value] = requirement.values
        if requirement.key in _COLUMNS:
            column = _COLUMNS[requirement.key]
            pair = (column, _code(value) if column == _CODE else value)
            (gathered.where if requirement.operator is Operator.EQUALS else gathered.where_not).append(pair)
            continue
        if requirement.operator is not Operator.EQUALS:
            raise BadRequest(f"field label {requirement.key}: only = is supported")
        if requirement.key in given:
            raise given_twice(requirement.key)
        given.add(requirement.key)
        wanted = replace(wanted, **_OTHERS[requirement.key](value, database))
    return replace(wanted, where=tuple(gathered.where), where_not=tuple(gathered.where_not))


def _code(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
        raise BadRequest("field label responseStatus.code: must be a number of three digits, such as 403")
    return int(value)


_OTHERS: Final[Mapping[str, Callable[[str, Database], dict[str, Any]]]] = {
    "objectRef.uid": lambda value, _database: {"uid": value},
    "auditID": lambda value, _database: {"audit_id": value},
    SINCE: lambda value, database: {"since": moment_of(value, database.clock())},
}
