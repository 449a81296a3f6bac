"""Decides what users may do by asking the cluster, by SubjectAccessReview (`authorization.k8s.io/v1`).

The cluster's own roles decide, verbs of ours included (`adopt`, `requeue`). An answer, yes or no, counts for
`CHANDLERY_ACCESS_REVIEW_SECONDS`. While the cluster does not answer, nothing is allowed that has not been answered
within that time: who takes the cluster away gains nothing by it.

Who may list or watch sees all of it, as in Kubernetes: `get` is not asked for each object there, and could not be.
"""

import hashlib
import time
from dataclasses import replace
from functools import partial
from typing import Final

from chandlery.model.faults import Unavailable
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import JsonObject
from chandlery.telemetry.catalog.api_requests import CLUSTER_REVIEWS
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery_gateway.identity.authorization import EVERYTHING, Access, Decision, Reach, Rules
from chandlery_gateway.identity.kubernetes.asked_cluster import Creates, reviewed
from chandlery_gateway.identity.kubernetes.remembered_answers import RememberedAnswers

_PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_READ: Final = "get"
_OPEN_PATHS: Final = ("/livez", "/readyz", "/healthz")
_MOST_BYTES: Final = 20_000
"""What is asked with longer words is asked anew each time, so that nobody drives others out of the memory with it."""
_AT_ONCE: Final = 16
_OF_WATCHES_AT_ONCE: Final = 8
"""All watches ask at the same moment: requests do not wait for them."""
_LONGEST_REASON: Final = 1_000
_SHORTEST_ROUND: Final = 1.0
_NOTHING: Final = Reach(everywhere=frozenset())


class ReviewAuthorizer:
    """See Authorizer."""

    def __init__(self, cluster: Creates, *, seconds: float, metrics: Metrics = NO_METRICS) -> None:
        """`seconds` is how long an answer counts."""
        self._cluster = cluster
        self._seconds = seconds
        self._counted = partial(metrics.count, CLUSTER_REVIEWS, "access")
        remembered = partial(self._counted, "remembered")
        self._answers: RememberedAnswers[Decision] = RememberedAnswers(at_once=_AT_ONCE, on_remembered=remembered)
        self._reaches: RememberedAnswers[Decision] = RememberedAnswers(
            at_once=_OF_WATCHES_AT_ONCE, on_remembered=remembered
        )

    @property
    def revision(self) -> int:
        """See Authorizer: moves with time, twice while an answer counts, so that watches ask again."""
        return int(time.monotonic() / max(self._seconds / 2, _SHORTEST_ROUND))

    async def decide(self, access: Access) -> Decision:
        """See Authorizer."""
        if access.path and access.verb == _READ and _is_open(access.path):
            return Decision(allowed=True, reason="this path is open to everybody, even without a token")
        return await self._decided(access, self._answers, seconds=self._seconds)

    async def reach(self, access: Access) -> Reach:
        """See Authorizer: everything; or the object of the access's name, if it is allowed with that alone."""
        if access.verb == _READ:
            return EVERYTHING
        # A watch asks after half the time, with answers that are no older: no right counts for longer than it may.
        whole = await self._decided(replace(access, name=""), self._reaches, seconds=self._seconds / 2)
        if whole.allowed:
            return EVERYTHING
        if access.name and (await self._decided(access, self._reaches, seconds=self._seconds / 2)).allowed:
            return Reach(everywhere=frozenset(), within={access.namespace: frozenset({access.name})})
        return _NOTHING

    async def rules(self, user: UserInfo, namespace: str) -> Rules:  # noqa: ARG002 - the cluster is asked for that
        """See Authorizer: the cluster tells it itself (SelfSubjectRulesReview)."""
        return Rules(is_complete=False)

    async def _decided(self, access: Access, answers: RememberedAnswers[Decision], *, seconds: float) -> Decision:
        spec = _spec(access)
        encoded = write_json(spec, sort_keys=True)
        if len(encoded) > _MOST_BYTES or seconds <= 0:
            return await self._asked(spec)
        key = hashlib.sha256(encoded).digest()
        return await answers.get(key, lambda: self._asked(spec), seconds=lambda _: seconds)

    async def _asked(self, spec: JsonObject) -> Decision:
        body: JsonObject = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            status = await reviewed(self._cluster, _PATH, body)
        except Unavailable:
            self._counted("failed")
            raise
        allowed = status.get("allowed") is True and status.get("denied") is not True
        self._counted("allowed" if allowed else "refused")
        # Thousands of them are kept, and another authorizer of the cluster may be eloquent.
        return Decision(allowed=allowed, reason=str(status.get("reason") or "")[:_LONGEST_REASON])


def _is_open(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in _OPEN_PATHS)


def _spec(access: Access) -> JsonObject:
    user = access.user
    spec: JsonObject = {"user": user.username}
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    if access.path:
        spec["nonResourceAttributes"] = {"path": access.path, "verb": access.verb}
        return spec
    attributes = {
        "namespace": access.namespace,
        "verb": access.verb,
        "group": access.group,
        "version": access.version,
        "resource": access.resource,
        "subresource": access.subresource,
        "name": access.name,
    }
    spec["resourceAttributes"] = {key: value for key, value in attributes.items() if value}
    return spec
