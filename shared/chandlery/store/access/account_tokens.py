"""Tokens of service accounts. They are random and looked up, so that one can be ended at any time; only digests stay.

A token is `chsa_<id>_<secret>`: the prefix for people and for scanners that look for leaked secrets, the id for lists
and logs, the secret of 256 bits, of which no digest can be turned back. A token ends with its time, when it is revoked,
and with its account: it belongs to the uid, so that a new account of the same name has nothing of the old one's.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, delete, func, insert, select, update

from chandlery.model.objects import kinds
from chandlery.store.rows import utc
from chandlery.store.schema import ACCOUNT_TOKENS as T
from chandlery.store.schema import OBJECTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

PREFIX: Final = "chsa_"
_ACCOUNTS: Final = OBJECTS[kinds.SERVICE_ACCOUNT.kind]
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_PARTS: Final = 3
_LONGEST: Final = 128


@dataclass(frozen=True, kw_only=True)
class AccountToken:
    """One token as it is stored."""

    id: str
    digest: str = field(repr=False)
    account_uid: str
    namespace: str
    account: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    """About when it was used last."""
    has_account: bool = True
    """Whether its account is still there, and is not about to go."""

    def is_of(self, token: str) -> bool:
        """Whether this is that token."""
        return hmac.compare_digest(self.digest, _digest(token))

    def is_valid(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.has_account and now < self.expires_at


def new_token(
    *, account_uid: str, namespace: str, account: str, now: datetime, lifetime: timedelta
) -> tuple[str, AccountToken]:
    """A new token, which is to be shown once, and what is to be stored of it."""
    id_ = secrets.token_hex(_ID_BYTES)
    token = f"{PREFIX}{id_}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    stored = AccountToken(
        id=id_,
        digest=_digest(token),
        account_uid=account_uid,
        namespace=namespace,
        account=account,
        created_at=now,
        expires_at=now + lifetime,
    )
    return token, stored


def id_of(token: str) -> str | None:
    """The id in a token; None for what cannot be one."""
    parts = token.split("_", _PARTS - 1)
    is_one = len(token) <= _LONGEST and len(parts) == _PARTS and len(parts[1]) == 2 * _ID_BYTES
    return parts[1] if is_one and parts[1].isalnum() and parts[1].isascii() else None


def _digest(token: str) -> str:
    # No salt and no slow function: nobody guesses 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()


class AccountTokenStore:
    """The tokens, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, token: AccountToken) -> None:
        """Store it."""
        row = {name: value for name, value in asdict(token).items() if name != "has_account"}
        await self._connection.execute(insert(T).values(row))

    async def count(self, account_uid: str) -> int:
        """How many an account has that have not expired."""
        live = (T.c.account_uid == account_uid) & (T.c.expires_at > self._now)
        return int((await self._connection.execute(select(func.count()).where(live))).scalar_one())

    async def find(self, ids: Collection[str]) -> Mapping[str, AccountToken]:
        """Those with these ids, by id."""
        return {token.id: token for token in await self._read(_query().where(T.c.id.in_(sorted(ids))))}

    async def all(self, *, namespace: str = "", account: str = "") -> Sequence[AccountToken]:
        """Those of a namespace or an account, or all; by account, the oldest first."""
        query = _query().order_by(T.c.namespace, T.c.account, T.c.created_at, T.c.id)
        if namespace:
            query = query.where(T.c.namespace == namespace)
        if account:
            query = query.where(T.c.account == account)
        return await self._read(query)

    async def revoke(self, ids: Collection[str]) -> int:
        """End these now; returns how many there were."""
        return (await self._connection.execute(delete(T).where(T.c.id.in_(sorted(ids))))).rowcount

    async def note_uses(self, moments: Mapping[str, datetime]) -> None:
        """Remember when these were used, unless something later is known."""
        for id_, moment in sorted(moments.items()):
            is_news = T.c.used_at.is_(None) | (T.c.used_at < moment)
            await self._connection.execute(update(T).where(T.c.id == id_, is_news).values(used_at=moment))

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Remove those that expired before the moment, and those whose accounts are gone; returns how many went."""
        is_over = (T.c.expires_at < before) | T.c.account_uid.not_in(select(_ACCOUNTS.c.uid))
        over = select(T.c.id).where(is_over).limit(limit)
        return (await self._connection.execute(delete(T).where(T.c.id.in_(over)))).rowcount

    async def _read(self, query: Select[Any]) -> list[AccountToken]:
        rows = (await self._connection.execute(query)).mappings()
        return [_token(row) for row in rows]


def _query() -> Select[Any]:
    is_its_own = (_ACCOUNTS.c.uid == T.c.account_uid) & _ACCOUNTS.c.deleted_at.is_(None)
    return select(T, _ACCOUNTS.c.uid.label("found")).select_from(T.outerjoin(_ACCOUNTS, is_its_own))


def _token(row: Mapping[str, Any]) -> AccountToken:
    values = dict(row)
    has_account = values.pop("found") is not None
    for name in ("created_at", "expires_at", "used_at"):
        values[name] = utc(values[name]) if values[name] else None
    return AccountToken(**values, has_account=has_account)
