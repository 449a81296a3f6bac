"""Objects to be found by requests that are made up."""

from collections.abc import Iterator

from tests.integration.gateway.api_client import (
    CATALOG,
    SECRETS,
    TEAM,
    Document,
    binding,
    broker,
    instance,
    plan,
    secret,
    service_class,
)


def catalog_seeds() -> Iterator[tuple[str, Document]]:
    """Where to create it, and an object of each kind of the catalog, a Secret and an event."""
    yield f"{TEAM}/serviceinstances", instance("seed")
    yield f"{TEAM}/servicebindings", binding("seed", to="seed")
    yield f"{TEAM}/servicebrokers", broker("seed", "ServiceBroker")
    yield f"{CATALOG}/clusterservicebrokers", broker("seed")
    yield f"{CATALOG}/clusterserviceclasses", service_class("seed")
    yield f"{CATALOG}/clusterserviceplans", plan("seed", of="seed")
    yield SECRETS, secret("seed", key="value")
    yield "/api/v1/namespaces/team/events", {"metadata": {"name": "seed"}, "involvedObject": {"name": "seed"}}
