"""The keys of one issuer, kept fresh: fetched at the start, now and then, and when a token names one that is not known.

Comes in: the issuer's OpenID configuration and its JWK set, over HTTPS. Goes out: the keys that a token may be signed
with. An issuer that is away is asked again with growing pauses, and what is known of it goes on being used.

Anybody can send a token that names an unknown key. So an issuer is asked about them at most once in ten seconds, only
so many requests wait for its answer, and none for long.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from chandlery_gateway.identity.authenticators.oidc.issuer_documents import IssuerSilent, KeysWithdrawn, fetch_keys
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer
from chandlery_gateway.identity.authenticators.oidc.key_sets import KeySet, SigningKey

_FRESH_SECONDS: Final = 300.0
"""After so long a key that the issuer has withdrawn is trusted no more."""
_LEAST_PAUSE_SECONDS: Final = 10.0
_FIRST_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 5.0
_MOST_WAITING: Final = 100
_TELL_AGAIN: Final = 30
"""Of failures in a row for the same reason every thirtieth is told: one in half an hour."""

log = structlog.get_logger(__name__)


class IssuerKeys:
    """What is known of one issuer."""

    def __init__(self, issuer: Issuer, *, allows_http: bool) -> None:
        """Nothing is fetched yet. `allows_http` is for issuers on loopback, in tests."""
        self.issuer = issuer
        self.generation = 0
        """Grows whenever other keys are known than before."""
        self._allows_http = allows_http
        self._keys = KeySet()
        self._asked_at: float | None = None
        self._due_at = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0
        self._failures = 0
        self._why = ""

    @property
    def is_away(self) -> bool:
        """Whether it could not be asked the last time, or never was."""
        return bool(self._failures) or not self._keys.keys

    @property
    def due_in(self) -> float:
        """Seconds until it should be asked again."""
        return max(0.0, self._due_at - time.monotonic())

    def candidates(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        """The known keys that a token may be signed with."""
        return self._keys.candidates(key_id, algorithm)

    async def ask_about_unknown(self) -> bool:
        """Ask the issuer about a key that is not known, unless it was asked lately. Whether that brought other keys."""
        if self._asking is None and not self._may_ask():
            return False
        if self._waiting >= _MOST_WAITING:
            return False
        before = self.generation
        self._waiting += 1
        try:
            await asyncio.wait({self.ask()}, timeout=_WAIT_SECONDS)
        finally:
            self._waiting -= 1
        return self.generation != before

    def ask(self) -> "asyncio.Task[None]":
        """Ask the issuer now; whoever asks meanwhile gets the same answer."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return self._asking

    def _may_ask(self) -> bool:
        return self._asked_at is None or time.monotonic() - self._asked_at >= _LEAST_PAUSE_SECONDS

    def _asked(self, _task: "asyncio.Task[None]") -> None:
        self._asking = None

    async def _ask(self) -> None:
        self._asked_at = time.monotonic()
        try:
            keys = await fetch_keys(self.issuer, allows_http=self._allows_http)
        except IssuerSilent as silent:
            if isinstance(silent, KeysWithdrawn):
                self._know(KeySet())
            self._note_failure(str(silent))
            return
        except Exception as error:  # noqa: BLE001 - it is asked again, whatever it has sent
            self._note_failure(type(error).__name__)
            return
        if self._failures:
            log.info(f"the keys of issuer {self.issuer.url} can be fetched again", action="fetch_issuer_keys")
        self._failures, self._why = 0, ""
        self._due_at = time.monotonic() + _FRESH_SECONDS
        self._know(keys)

    def _know(self, keys: KeySet) -> None:
        if set(keys.keys) != set(self._keys.keys):
            self._keys = keys
            self.generation += 1

    def _note_failure(self, why: str) -> None:
        self._due_at = time.monotonic() + min(_FIRST_RETRY_SECONDS * 2**self._failures, _LONGEST_RETRY_SECONDS)
        # Bounded, for it is an exponent.
        if why != self._why or self._failures % _TELL_AGAIN == 0:
            known = "its known keys stay in use" if self._keys.keys else "its tokens are refused until they can be"
            log.warning(
                f"the keys of issuer {self.issuer.url} cannot be fetched: {why}; {known}",
                action="fetch_issuer_keys",
                issuer=self.issuer.url,
            )
        self._failures = self._failures % _TELL_AGAIN + 1
        self._why = why
