"""Knows users by bearer tokens of the cluster: a verifier that asks by TokenReview (`authentication.k8s.io/v1`).

What was answered counts for `CHANDLERY_TOKEN_REVIEW_SECONDS`, a refusal for a shorter time: a token may be refused
because what it belongs to has only just come to be. Tokens are remembered by their digests. No audience is asked for,
so a token has to be for the cluster's API itself.
"""

import hashlib
from functools import partial
from typing import Any, Final

from chandlery.model.faults import Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import JsonObject
from chandlery.telemetry.catalog.api_requests import CLUSTER_REVIEWS
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.kubernetes.asked_cluster import Creates, reviewed
from chandlery_gateway.identity.kubernetes.remembered_answers import RememberedAnswers

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_LONGEST: Final = 16 * 1024
_REFUSED_SECONDS: Final = 2.0
_AT_ONCE: Final = 8
"""Few of the connections to the cluster: anybody may send made-up tokens, and reviews of rights need the others."""


class ReviewedTokens:
    """See TokenVerifier."""

    def __init__(self, cluster: Creates, *, seconds: float, metrics: Metrics = NO_METRICS) -> None:
        """`seconds` is how long an answer counts."""
        self._cluster = cluster
        self._seconds = seconds
        self._counted = partial(metrics.count, CLUSTER_REVIEWS, "token")
        self._answers: RememberedAnswers[UserInfo | None] = RememberedAnswers(
            at_once=_AT_ONCE, on_remembered=partial(self._counted, "remembered")
        )

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
        try:
            status = await reviewed(self._cluster, _PATH, body)
        except Unavailable:
            self._counted("failed")
            raise
        user = _user(status.get("user")) if status.get("authenticated") is True else None
        self._counted("refused" if user is None else "allowed")
        return user


def _user(told: Any) -> UserInfo | None:
    if not isinstance(told, dict) or not told.get("username"):
        return None
    return UserInfo.model_validate({key: told[key] for key in ("username", "uid", "groups", "extra") if key in told})
