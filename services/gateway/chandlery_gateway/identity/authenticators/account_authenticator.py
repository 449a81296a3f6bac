"""Knows service accounts by their tokens (`chsa_…`): a verifier that looks them up in the database.

Comes in: tokens, and the rows of `account_tokens`. Goes out: users `system:serviceaccount:<namespace>:<name>`.
Called by: `union_authenticator`; `main` runs `keep_rows` beside it, which writes down what was used and forgets what is
over. The gateway does that itself: no other service has to do with this table.

What was looked up counts for a second. So a token that is revoked, or whose account or namespace is deleted, ends on
every gateway within that time, and one that is in use costs the database one look in a second. Looks that arrive while
one is under way share the next: however many tokens somebody makes up, they take one connection.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from chandlery.engine.batches import Batches, Part
from chandlery.model.faults import Fault
from chandlery.model.objects.instances import UserInfo
from chandlery.store.access.account_tokens import PREFIX, AccountToken, id_of
from chandlery.store.database import Database, UnitOfWork
from chandlery_gateway.identity.authentication import CREDENTIAL_ID, LoginFailure, LoginRefused

FRESH_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 4096
_MOST_AT_ONCE: Final = 500
_KEEP_SECONDS: Final = 60.0
_FORGOTTEN_AT_ONCE: Final = 5000
_NOTED_EVERY: Final = timedelta(minutes=10)
"""When a token was used last is known to ten minutes or so: it is written no more often."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Remembered:
    user: UserInfo
    until: float
    expires_at: datetime


class AccountAuthenticator:
    """See TokenVerifier."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look = Batches(self._looked_up, limit=_MOST_AT_ONCE)
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._uses: dict[str, datetime] = {}

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier."""
        if not token.startswith(PREFIX):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        if known is not None and time.monotonic() < known.until and self._database.clock() < known.expires_at:
            return known.user
        self._remembered.pop(digest, None)
        id_ = id_of(token)
        if id_ is None:
            raise LoginRefused(LoginFailure.MALFORMED)
        # From before the look: what is committed while it is under way may not be in it.
        until = time.monotonic() + FRESH_SECONDS
        found = await self._look(id_)
        user = self._user(token, found)
        self._remember(digest, _Remembered(user, until, found.expires_at) if found else None)
        return user

    async def keep_rows(self, *, expired_hours: float) -> None:
        """Look after the table now and then; ends by cancellation. Tokens that expired so long ago are forgotten."""
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            await self.tidy(expired_hours=expired_hours)

    async def tidy(self, *, expired_hours: float) -> None:
        """Do it once. It matters little, so a database that is away is not waited for."""
        uses, self._uses = self._uses, {}

        async def tidy(unit: UnitOfWork) -> None:
            await unit.account_tokens.note_uses(uses)
            before = unit.now - timedelta(hours=expired_hours)
            await unit.account_tokens.forget(before, limit=_FORGOTTEN_AT_ONCE)

        try:
            await self._database.run(tidy)
        except Fault as fault:
            self._uses = uses | self._uses
            log.warning(
                f"expired tokens could not be removed, nor uses of others noted: {fault.message}", action="keep_tokens"
            )

    def _user(self, token: str, found: AccountToken | None) -> UserInfo:
        now = self._database.clock()
        if found is None or not found.is_of(token) or not found.has_account:
            raise LoginRefused(LoginFailure.REVOKED)
        if not found.is_valid(now):
            raise LoginRefused(LoginFailure.EXPIRED)
        if (found.used_at is None or now - found.used_at >= _NOTED_EVERY) and len(self._uses) < _MOST_REMEMBERED:
            self._uses[found.id] = now
        return UserInfo(
            username=f"system:serviceaccount:{found.namespace}:{found.account}",
            uid=found.account_uid,
            groups=("system:serviceaccounts", f"system:serviceaccounts:{found.namespace}"),
            extra={CREDENTIAL_ID: (f"JTI={found.id}",)},
        )

    def _remember(self, digest: bytes, known: _Remembered | None) -> None:
        if known is None:
            return
        self._remembered[digest] = known
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _looked_up(self, parts: Sequence[Part[str]]) -> Sequence[AccountToken | None]:
        ids = {part.item for part in parts}

        async def look(unit: UnitOfWork) -> dict[str, AccountToken]:
            return dict(await unit.account_tokens.find(ids))

        found = await self._database.run(look)
        return [found.get(part.item) for part in parts]
