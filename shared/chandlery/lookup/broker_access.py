"""How to reach a service broker: its address and its credentials, read from the Secret each time they are used."""

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker, LocalObjectReference, ObjectReference
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.reasons import BrokerReason
from chandlery.model.text.durations import parse_duration
from chandlery.osb.endpoint import API_VERSION, BasicAuth, BearerAuth, BrokerEndpoint
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.policies.broker_policy import BrokerPolicy, ShortestPauses, policy_of
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.retry.circuit import CircuitPolicy
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId

SecretReference = ObjectReference | LocalObjectReference


async def find_endpoint_or(
    platform: PlatformView,
    broker: AnyBroker | None,
    *,
    missing: Unresolved,
    timeout_seconds: float,
) -> BrokerEndpoint | Unresolved:
    """The same for an object whose service broker may be gone: then the answer is `missing`."""
    return await find_endpoint(platform, broker, timeout_seconds=timeout_seconds) if broker else missing


async def find_endpoint(
    platform: PlatformView, broker: AnyBroker, *, timeout_seconds: float
) -> BrokerEndpoint | Unresolved:
    """The endpoint with its credentials, or why there are none; `timeout_seconds` is for brokers that say nothing."""
    authorization = await _authorization(platform, broker)
    if isinstance(authorization, Unresolved):
        return authorization
    return BrokerEndpoint(
        url=broker.spec.url,
        ca_bundle=broker.spec.ca_bundle,
        skip_tls_verify=bool(broker.spec.insecure_skip_tls_verify),
        authorization=authorization,
        timeout_seconds=parse_duration(own).total_seconds()
        if (own := broker.spec.request_timeout)
        else timeout_seconds,
        api_version=broker.spec.osb_api_version or API_VERSION,
    )


def policy_for(broker: AnyBroker | None, settings: Settings) -> BrokerPolicy:
    """How the broker is to be dealt with, where it says nothing as the settings say."""
    circuit = CircuitPolicy(
        failures=settings.circuit_failures, open_for=timedelta(seconds=settings.circuit_open_seconds)
    )
    give_up_after = timedelta(hours=settings.operation_timeout_hours)
    return policy_of(broker, give_up_after=give_up_after, circuit=circuit, shortest=shortest_pauses(settings))


def shortest_pauses(settings: Settings) -> ShortestPauses:
    """What no service broker may fall short of."""
    polls, retries = settings.shortest_poll_seconds, settings.shortest_retry_seconds
    return ShortestPauses(polls=timedelta(seconds=polls), retries=timedelta(seconds=retries))


async def find_broker_of_lane(unit: UnitOfWork, lane: str) -> AnyBroker | None:
    """The broker whose work the lane carries: it has the resource, although its class may be gone. None without one."""
    if not lane:
        return None
    namespace, _, name = lane.removeprefix("broker:").partition("/")
    kind = kinds.SERVICE_BROKER if namespace else kinds.CLUSTER_SERVICE_BROKER
    found = await unit.objects.get(kind, namespace, name)
    return found if isinstance(found, AnyBroker) else None


def secret_values(secret: Secret) -> Mapping[str, bytes]:
    """The decoded values of a Secret; what is no base64 is left out."""
    values = {}
    for key, encoded in (secret.data or {}).items():
        try:
            values[key] = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
    return values


async def _authorization(platform: PlatformView, broker: AnyBroker) -> BasicAuth | BearerAuth | Unresolved | None:
    auth: Any = broker.spec.auth_info
    if auth is None:
        return None
    scheme, wanted = ("basic", ("username", "password")) if auth.basic else ("bearer", ("token",))
    holder = auth.basic or auth.bearer
    if holder is None or holder.secret_ref is None:
        return None
    namespace, name = _place(broker, holder.secret_ref)
    secret = await platform.read_secret(namespace, name)
    if secret is None:
        return _unusable(namespace, name, "does not exist")
    if secret.sealed is not None:
        return _unusable(namespace, name, "cannot be decrypted; delete it and create it again")
    values = secret_values(secret)
    missing = [key for key in wanted if key not in values]
    if missing:
        return _unusable(namespace, name, f"has no key {' and no key '.join(missing)}")
    texts = [values[key].decode(errors="replace") for key in wanted]
    return BasicAuth(*texts) if scheme == "basic" else BearerAuth(*texts)


def _place(broker: AnyBroker, reference: SecretReference) -> tuple[str, str]:
    if isinstance(broker, ClusterServiceBroker) and isinstance(reference, ObjectReference):
        return reference.namespace, reference.name
    return broker.metadata.namespace or "", reference.name


def _unusable(namespace: str, name: str, why: str) -> Unresolved:
    return Unresolved(
        BrokerReason.ERROR_GETTING_AUTH_CREDENTIALS,
        f'Error getting broker auth credentials: the Secret "{namespace}/{name}" {why}',
        secret_key(namespace, name),
    )


async def claims_id(
    unit: UnitOfWork, document: ServiceInstance | ServiceBinding, *, lane: str, noted: str, value: str | None = None
) -> bool:
    """Claim the id for the object at the broker of the lane, unless the notes say that this has been done.

    `value` is an id beside that of the specification. Without a lane there is no broker that could be called.
    """
    wanted = value or document.spec.external_id
    if not lane or not wanted or noted == lane:
        return True
    return await unit.external_ids.claim(ExternalId(lane, document.kind, wanted), document.metadata.uid or "")


async def is_held_by_other(unit: UnitOfWork, instance: ServiceInstance, *, lane: str) -> bool:
    """Whether what the broker has under the instance's id is another instance's."""
    owner = await unit.external_ids.owner(ExternalId(lane, instance.kind, instance.spec.external_id))
    return owner not in (None, instance.metadata.uid)
