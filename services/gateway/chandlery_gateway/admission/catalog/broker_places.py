"""Where admission lets brokers be: what the client of the workers goes by, as the pure rules take it."""

from chandlery.osb.transport.egress import Egress
from chandlery_gateway.admission.brokers.broker_address_admission import BrokerPlaces


def broker_places(egress: Egress, *, lookup_seconds: float) -> BrokerPlaces:
    """The places of these settings."""
    proxy = egress.proxy
    if proxy is None:
        return BrokerPlaces(cluster=egress.cluster, tenants=egress.tenants, lookup_seconds=lookup_seconds)
    return BrokerPlaces(
        cluster=egress.cluster,
        tenants=egress.tenants,
        has_proxy=True,
        bypassed=proxy.bypass,
        lookup_seconds=lookup_seconds,
    )
