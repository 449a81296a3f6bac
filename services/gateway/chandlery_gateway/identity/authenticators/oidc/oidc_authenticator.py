"""Knows users by tokens of identity providers: the verifier that `union_authenticator` asks about JWTs.

Comes in: a token, and what is configured of issuers. Goes out: the user whom its claims name, or why it is refused.
Called by: `union_authenticator` for each request with a JWT; `main` runs `keep_keys` beside it.

A token that has been verified is remembered by digest until it expires, or until other keys are known of its issuer:
a client sends the same one with each request, and a signature costs more than all else that is looked at.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators.oidc.claims import user_of
from chandlery_gateway.identity.authenticators.oidc.issuer_keys import IssuerKeys
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer
from chandlery_gateway.identity.authenticators.oidc.oidc_tokens import (
    UnverifiedToken,
    looks_like_one,
    read_token,
    verified_claims,
)

_MOST_REMEMBERED: Final = 4096
_LONGEST_PAUSE_SECONDS: Final = 5.0
_MOST_TRIED: Final = 10
"""Keys for one token that names none."""
_OF_KEYS: Final = frozenset({LoginFailure.UNKNOWN_KEY, LoginFailure.ISSUER_AWAY, LoginFailure.BAD_SIGNATURE})


@dataclass(frozen=True, slots=True)
class _Remembered:
    user: UserInfo
    until: float
    source: IssuerKeys
    generation: int


class OidcAuthenticator:
    """See TokenVerifier."""

    def __init__(self, issuers: Iterable[Issuer], *, leeway: float, allows_http: bool = False) -> None:
        """`leeway` are the seconds by which clocks may differ; `allows_http` is for issuers on loopback, in tests."""
        self._leeway = leeway
        self._allows_http = allows_http
        self._sources: dict[str, IssuerKeys] = {}
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._changed = asyncio.Event()
        self.replace(issuers)

    def replace(self, issuers: Iterable[Issuer]) -> None:
        """From now on these are the issuers. Of those that stay as they were the keys stay known."""
        before = self._sources
        self._sources = {}
        for issuer in issuers:
            known = before.get(issuer.url)
            is_same = known is not None and known.issuer == issuer
            self._sources[issuer.url] = (
                known if known is not None and is_same else IssuerKeys(issuer, allows_http=self._allows_http)
            )
        self._remembered.clear()
        self._changed.set()

    async def keep_keys(self) -> None:
        """Fetch the keys of all issuers, again and again, for ever. An issuer that is away delays no other one."""
        while True:
            self._changed.clear()
            for source in self._sources.values():
                if not source.due_in:
                    source.ask()
            pause = min((source.due_in for source in self._sources.values()), default=_LONGEST_PAUSE_SECONDS)
            try:
                async with asyncio.timeout(min(max(pause, 0.1), _LONGEST_PAUSE_SECONDS)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier."""
        if not looks_like_one(token):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        if (user := self._known(digest)) is not None:
            return user
        said = read_token(token)
        source = self._sources.get(said.issuer)
        if source is None:
            raise LoginRefused(LoginFailure.UNKNOWN_ISSUER)
        if said.algorithm not in source.issuer.algorithms:
            raise LoginRefused(LoginFailure.ALGORITHM)
        claims = await self._claims(token, said, source)
        if self._sources.get(said.issuer) is not source:
            # It has been configured anew, or is gone, while its keys were fetched.
            return await self.verify(token)
        user = user_of(claims, source.issuer)
        self._remember(digest, _Remembered(user, _end(claims) + self._leeway, source, source.generation))
        return user

    async def _claims(self, token: str, said: UnverifiedToken, source: IssuerKeys) -> Mapping[str, Any]:
        try:
            return self._verified(token, said, source)
        except LoginRefused as refused:
            if refused.reason not in _OF_KEYS:
                raise
            reason = refused.reason
        # The issuer may have taken a new key, under a new name or under the old one.
        if not await source.ask_about_unknown():
            raise LoginRefused(LoginFailure.ISSUER_AWAY if _is_missing(reason, source) else reason)
        return self._verified(token, said, source)

    def _verified(self, token: str, said: UnverifiedToken, source: IssuerKeys) -> Mapping[str, Any]:
        candidates = source.candidates(said.key_id, said.algorithm)
        for candidate in candidates[:_MOST_TRIED]:
            try:
                return verified_claims(
                    token, candidate.key, algorithm=said.algorithm, issuer=source.issuer, leeway=self._leeway
                )
            except LoginRefused as refused:
                if refused.reason is not LoginFailure.BAD_SIGNATURE:
                    raise
        if candidates:
            raise LoginRefused(LoginFailure.BAD_SIGNATURE)
        raise LoginRefused(LoginFailure.ISSUER_AWAY if source.is_away else LoginFailure.UNKNOWN_KEY)

    def _known(self, digest: bytes) -> UserInfo | None:
        found = self._remembered.get(digest)
        if found is None:
            return None
        if found.until <= time.time() or found.generation != found.source.generation:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return found.user

    def _remember(self, digest: bytes, verified: _Remembered) -> None:
        self._remembered[digest] = verified
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _is_missing(reason: LoginFailure, source: IssuerKeys) -> bool:
    """Whether a key is unknown that its issuer might have told of."""
    return reason is not LoginFailure.BAD_SIGNATURE and source.is_away


def _end(claims: Mapping[str, Any]) -> float:
    """When it expires, in seconds since 1970. It is a number, or else the token would have been refused."""
    return float(min(claims["exp"], 2**53))
