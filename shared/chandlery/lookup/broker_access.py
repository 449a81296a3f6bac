"""How to reach a service broker: its address and its credentials, read from the Secret each time they are used."""

from datetime import timedelta

from chandlery.lookup.broker_credentials import find_credentials
from chandlery.lookup.kept_secrets import WithKeptSecrets
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import BROKER_ALLOW, BROKER_DENY
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.text.durations import parse_duration
from chandlery.osb.endpoint import API_VERSION, NOWHERE, BrokerEndpoint, Tenancy
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.egress.egress_rules import parse_rules
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.policies.broker_policy import BrokerPolicy, ShortestPauses, policy_of
from chandlery.reconcile.reconcile_result import BROKER_LANE
from chandlery.retry.circuit import CircuitPolicy
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId


async def find_endpoint_or(
    unit: UnitOfWork,
    platform: PlatformView,
    broker: AnyBroker | None,
    *,
    missing: Unresolved,
    timeout_seconds: float,
) -> BrokerEndpoint | Unresolved:
    """The same for an object whose service broker may be gone: then the answer is `missing`."""
    return await find_endpoint(unit, platform, broker, timeout_seconds=timeout_seconds) if broker else missing


async def find_endpoint(
    unit: UnitOfWork, platform: PlatformView, broker: AnyBroker, *, timeout_seconds: float
) -> BrokerEndpoint | Unresolved:
    """The endpoint with its credentials, or why there are none; `timeout_seconds` is for brokers that say nothing."""
    is_going = broker.metadata.deletion_timestamp is not None
    credentials = await find_credentials(WithKeptSecrets(unit, platform, broker) if is_going else platform, broker)
    if isinstance(credentials, Unresolved):
        return credentials
    spec = broker.spec
    return BrokerEndpoint(
        url=spec.url,
        ca_bundle=spec.ca_bundle,
        skip_tls_verify=bool(spec.insecure_skip_tls_verify),
        authorization=credentials.authorization,
        timeout_seconds=parse_duration(spec.request_timeout).total_seconds()
        if spec.request_timeout
        else timeout_seconds,
        api_version=spec.osb_api_version or API_VERSION,
        client_certificate=credentials.certificate,
        tenancy=await _tenancy(platform, broker),
        signs_context=bool(spec.signed_context),
        broker="/".join(filter(None, (broker.metadata.namespace, broker.metadata.name))),
    )


async def _tenancy(platform: PlatformView, broker: AnyBroker) -> Tenancy | None:
    """What the broker's namespace allows and denies its brokers; None for brokers of no namespace.

    Annotations that cannot be read deny everything: they were meant to deny something.
    """
    if isinstance(broker, ClusterServiceBroker):
        return None
    name = broker.metadata.namespace or ""
    namespace = await platform.namespace(name)
    annotations = (namespace.metadata.annotations if namespace else None) or {}
    try:
        return Tenancy(
            name,
            allow=parse_rules(annotations.get(BROKER_ALLOW, "")),
            deny=parse_rules(annotations.get(BROKER_DENY, "")),
        )
    except ValueError:
        return NOWHERE


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
    namespace, _, name = lane.removeprefix(BROKER_LANE).partition("/")
    kind = kinds.SERVICE_BROKER if namespace else kinds.CLUSTER_SERVICE_BROKER
    found = await unit.objects.get_cached(kind, namespace, name)
    return found if isinstance(found, AnyBroker) else None


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
