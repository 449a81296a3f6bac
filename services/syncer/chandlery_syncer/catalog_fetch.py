"""Fetches a catalog and makes the wished classes and plans of it, while no transaction is open."""

import uuid
from dataclasses import dataclass

import structlog

from chandlery.model.brokers import AnyBroker
from chandlery.osb.catalog_reading import read_catalog
from chandlery.osb.catalog_values import CatalogService
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import InvalidCatalog
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_syncer.catalog_objects import Offerings, wished_offerings

log = structlog.get_logger()


@dataclass(frozen=True)
class Fetched:
    """The answer, and what it brought."""

    answer: Answer
    wished: Offerings | None = None
    """None if the answer brought no catalog, or one that cannot be used."""
    problem: str | None = None
    """What is wrong with the catalog."""


async def fetch_catalog(osb: OsbClient, endpoint: BrokerEndpoint, *, broker: AnyBroker, etag: str | None) -> Fetched:
    """Ask for the catalog and check it. Does not raise for anything that a broker does."""
    answer = await osb.get_catalog(endpoint, etag=etag, request_id=str(uuid.uuid4()))
    if answer.verdict != Verdict.SUCCEEDED:
        return Fetched(answer)
    try:
        services = read_catalog(answer.body)
        _warn_of_requirements(broker, services)
        return Fetched(answer, wished=wished_offerings(broker, services))
    except InvalidCatalog as fault:
        return Fetched(answer, problem=fault.message)
    except ValueError as error:
        return Fetched(answer, problem=str(error))


def _warn_of_requirements(broker: AnyBroker, services: tuple[CatalogService, ...]) -> None:
    for service in services:
        if service.unknown_requirements:
            log.warning(
                "an offering requires permissions that are not known here; it may not work",
                action="sync_catalog",
                broker=broker.metadata.name,
                offering=service.name,
            )
