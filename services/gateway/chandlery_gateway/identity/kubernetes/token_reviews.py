"""Knows users by bearer tokens of the cluster: a verifier that asks by TokenReview (`authentication.k8s.io/v1`).

What was answered counts for `CHANDLERY_TOKEN_REVIEW_SECONDS`, a refusal for a shorter time: a token may be refused
because what it belongs to has only just come to be. Tokens are remembered by their digests. No audience is asked for,
so a token has to be for the cluster's API itself.
"""

import hashlib
from typing import Any, Final

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.kubernetes.asked_cluster import Creates, reviewed
from chandlery_gateway.identity.kubernetes.remembered_answers import RememberedAnswers

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_LONGEST: Final = 16 * 1024
_REFUSED_SECONDS: Final = 2.0


class ReviewedTokens:
    """See TokenVerifier."""

    def __init__(self, cluster: Creates, *, seconds: float) -> None:
        """`seconds` is how long an answer counts."""
        self._cluster = cluster
        self._seconds = seconds
        self._answers: RememberedAnswers[UserInfo | None] = RememberedAnswers()

    async def verify(self, token: str) -> UserInfo:
        """See TokenVerifier: every token is one that the cluster may know."""
        if len(token) > _LONGEST:
            raise LoginRefused(LoginFailure.TOO_LONG)
        key = hashlib.sha256(token.encode()).digest()
        user = await self._answers.get(key, lambda: self._asked(token), seconds=self._lasts)
        if user is None:
            raise LoginRefused(LoginFailure.UNKNOWN_TOKEN)
        return user

    def _lasts(self, user: UserInfo | None) -> float:
        return min(self._seconds, _REFUSED_SECONDS) if user is None else self._seconds

    async def _asked(self, token: str) -> UserInfo | None:
        body: JsonObject = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        status = await reviewed(self._cluster, _PATH, body)
        return _user(status.get("user")) if status.get("authenticated") is True else None


def _user(told: Any) -> UserInfo | None:
    if not isinstance(told, dict) or not told.get("username"):
        return None
    return UserInfo.model_validate({key: told[key] for key in ("username", "uid", "groups", "extra") if key in told})
