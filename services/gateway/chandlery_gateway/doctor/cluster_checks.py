"""The checks of a gateway in a cluster: whether it would be believed there, and knows whom to believe.

Everything is asked with the gateway's own rights, and nothing is changed: what it may ask is asked of the cluster by
SelfSubjectAccessReview.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from chandlery.model.faults import Fault, Forbidden, NotFound
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_choice import cluster_of
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.doctor.check import Result, counted, fail, failed_with, ok, unused, warn, worst
from chandlery.settings.settings import Settings
from chandlery_gateway.identity.kubernetes.asked_cluster import DELEGATOR_NEEDED
from chandlery_gateway.identity.kubernetes.followed_trust import READER_NEEDED
from chandlery_gateway.identity.kubernetes.trust_config import CONFIG_NAME, CONFIG_NAMESPACE, read_trust_config
from chandlery_gateway.trust.ca_bundles import CaBundles
from chandlery_gateway.trust.stored_certificates import read_stored

_CONFIG: Final = f"/api/v1/namespaces/{CONFIG_NAMESPACE}/configmaps/{CONFIG_NAME}"
_MAY_I: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_REVIEWS: Final = (("authentication.k8s.io", "tokenreviews"), ("authorization.k8s.io", "subjectaccessreviews"))
_SOON: Final = timedelta(days=20)
_WAITS: Final = "look at the log of the gateways, which renew it (`keep_certificate`)"


async def cluster_trust(settings: Settings) -> Result:
    """Whom the gateway would believe, and whether it may ask about them."""
    return await _with_cluster(settings, _trust)


async def serving_certificate(settings: Settings) -> Result:
    """What gateways have made, for how long it is valid, and whether kube-apiserver knows it."""
    if not settings.serving_cert_secret:
        return unused("the certificate of the gateways comes from files")
    return await _with_cluster(settings, lambda cluster: _certificate(settings, cluster))


async def _with_cluster(settings: Settings, look: Callable[[ClusterClient], Awaitable[Result]]) -> Result:
    cluster = cluster_of(settings)
    try:
        return await look(cluster)
    finally:
        await cluster.close()


async def _trust(cluster: ClusterClient) -> Result:
    return worst(await _config(cluster), await _reviews(cluster))


async def _config(cluster: ClusterClient) -> Result:
    try:
        found = await cluster.get(_CONFIG)
    except Forbidden as fault:
        return fail(fault.message, READER_NEEDED)
    config = read_trust_config(found.get("data") or {})
    if config.warnings:
        return fail(config.warnings[0], "kube-apiserver's flags --requestheader-… say whom it passes requests on as")
    return ok("the authorities of the front proxy and of users can be read")


async def _reviews(cluster: ClusterClient) -> Result:
    missing = [resource for group, resource in _REVIEWS if not await _may_create(cluster, group, resource)]
    if missing:
        return fail(
            f"the gateway may not create {' and '.join(missing)}, so it knows nobody's rights", DELEGATOR_NEEDED
        )
    return ok("the cluster may be asked who users are and what they may do")


async def _may_create(cluster: ClusterClient, group: str, resource: str) -> bool:
    asked: JsonObject = {"resourceAttributes": {"group": group, "resource": resource, "verb": "create"}}
    review: JsonObject = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": asked}
    answer = await cluster.create(_MAY_I, review)
    return (answer.get("status") or {}).get("allowed") is True


async def _certificate(settings: Settings, cluster: ClusterClient) -> Result:
    namespace, name = cluster.namespace, settings.serving_cert_secret or ""
    try:
        stored = read_stored(await cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}"))
    except NotFound:
        stored = None
    if stored is None:
        return warn(f"Secret {namespace}/{name} holds no certificate yet", f"start a gateway, or {_WAITS}")
    left = stored.ends_at - datetime.now(UTC)
    if left < _SOON:
        return fail(f"the certificate in Secret {namespace}/{name} ends on {stored.ends_at:%Y-%m-%d}", _WAITS)
    return worst(
        ok(f"the gateways' certificate is valid for {counted(left.days, 'day')}"),
        *await _bundles(CaBundles(cluster, service=settings.serving_service, namespace=namespace), stored.bundle),
    )


async def _bundles(bundles: CaBundles, authorities: Sequence[str]) -> list[Result]:
    try:
        known = await bundles.read()
    except Fault as fault:
        return [failed_with(fault)]
    return [
        fail(f"the caBundle of APIService {each.name} does not vouch for the gateways' certificate", _WAITS)
        for each in known
        if authorities[0] not in each.authorities
    ]
