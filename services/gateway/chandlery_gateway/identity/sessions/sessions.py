"""Sessions in sealed cookies: any gateway with the same key opens them, and none has to remember them.

Comes in: a bearer token that an authenticator has accepted. Goes out: a cookie that nobody but us can read or make,
with that token in it, so that with every request the authenticator is asked again: a token that is revoked, or a user
whose groups have changed, ends or changes the session at once.
Called by: `session_authenticator` for each request with a cookie, `routes/session_routes.py` to begin and to end one.

A session ends when it has not been renewed for a while, at the latest after some hours, and when its user logs out.
Who has logged out is remembered here until the session would have ended anyway, by this process.
"""

import base64
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chandlery.model.faults import BadRequest
from chandlery.model.json.json_text import read_written, write_json

COOKIE: Final = "__Host-chandlery-session"
"""The prefix makes browsers insist on TLS, on this host alone, and on all of its paths."""
CSRF_HEADER: Final = "x-csrf-token"
_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"
_MOST_COOKIE_BYTES: Final = 3_800
"""Browsers take 4,096, the name and the attributes included."""
_MOST_ENDED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    id: str
    token: str
    """The bearer token of whoever logged in."""
    began: int
    """Seconds since 1970."""

    def __repr__(self) -> str:
        """Without the token."""
        return f"Session(began={self.began})"


class Sessions:
    """Makes, opens, renews and ends sessions."""

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        origins: Collection[str],
        idle_seconds: int = 1_800,
        most_seconds: int = 28_800,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`keys` have 32 bytes or more; the first seals, all open. `origins` are those of our pages."""
        if not keys or any(len(key) < 32 for key in keys):  # noqa: PLR2004 - as many as come out
            raise ValueError("sessions need a key of 32 bytes or more")
        self.origins = frozenset(origins)
        self._seal = MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, "cookie"))) for key in keys])
        self._csrf_keys = [_derived(key, "csrf") for key in keys]
        self._idle_seconds = idle_seconds
        self._most_seconds = most_seconds
        self._clock = clock
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._not_before = 0

    def begin(self, token: str) -> Session:
        """A new session of whoever has this token, which has been accepted."""
        return Session(secrets.token_urlsafe(16), token, int(self._clock()))

    def cookie(self, session: Session) -> str:
        """The header `Set-Cookie` that begins or renews it; raises BadRequest if browsers would not take it."""
        content = write_json([session.id, session.token, session.began])
        sealed = self._seal.encrypt_at_time(content, int(self._clock())).decode()
        if len(sealed) > _MOST_COOKIE_BYTES:
            raise BadRequest(f"the token has {len(session.token)} characters, which is too long for a session's cookie")
        left = max(0, session.began + self._most_seconds - int(self._clock()))
        return f"{COOKIE}={sealed}; {_ATTRIBUTES}; Max-Age={min(self._idle_seconds, left)}"

    @property
    def no_cookie(self) -> str:
        """The header `Set-Cookie` that ends one in the browser."""
        return f"{COOKIE}=; {_ATTRIBUTES}; Max-Age=0"

    def open(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it was not made here, or is over."""
        now = int(self._clock())
        if len(cookie) > _MOST_COOKIE_BYTES or not cookie.isascii():
            return None
        try:
            content = self._seal.decrypt_at_time(cookie.encode(), ttl=self._idle_seconds, current_time=now)
        except InvalidToken:
            return None
        session = Session(*read_written(content))
        is_over = now >= session.began + self._most_seconds or session.began < self._not_before
        return None if is_over or session.id in self._ended else session

    def csrf_token(self, session: Session) -> str:
        """What a page of ours sends with each change, in the header `X-CSRF-Token`."""
        return _token(self._csrf_keys[0], session)

    def is_csrf_token(self, text: str, session: Session) -> bool:
        """Whether it is that of this very session."""
        given = text.encode()
        return any(hmac.compare_digest(given, _token(key, session).encode()) for key in self._csrf_keys)

    def end(self, session: Session) -> None:
        """Its cookie opens nothing any more, whoever has a copy of it."""
        now = int(self._clock())
        while self._ended and next(iter(self._ended.values())) + self._most_seconds <= now:
            self._ended.popitem(last=False)
        if len(self._ended) >= _MOST_ENDED:
            # Rather everybody logs in again than that one who has logged out comes back.
            self._ended.clear()
            self._not_before = now
        self._ended[session.id] = now


def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"chandlery sessions: {purpose}".encode()).derive(key)


def _token(key: bytes, session: Session) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, session.id.encode(), "sha256")).decode()
