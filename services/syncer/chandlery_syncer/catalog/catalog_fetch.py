"""Fetches a catalog and makes the desired classes and plans of it, while no transaction is open."""

import asyncio
from dataclasses import replace

from chandlery.model.objects.brokers import AnyBroker
from chandlery.osb.catalog.catalog_reading import read_catalog
from chandlery.osb.catalog.catalog_remarks import CatalogRemarks
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import InvalidCatalog
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery_syncer.catalog.catalog_objects import desired_offerings
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog


async def fetch_catalog(
    osb: OsbClient, endpoint: BrokerEndpoint, *, broker: AnyBroker, known: CatalogMark | None, remarks: CatalogRemarks
) -> FetchedCatalog:
    """Ask for the catalog and check it. Does not raise for anything that a broker does."""
    answer = await osb.get_catalog(endpoint, known=known)
    if answer.verdict != Verdict.SUCCEEDED:
        return FetchedCatalog(answer)
    # Beside the event loop: catalogs can be large, and each schema is held against the rules of its draft.
    return await asyncio.to_thread(_read, answer, broker, remarks)


def _read(answer: Answer, broker: AnyBroker, remarks: CatalogRemarks) -> FetchedCatalog:
    strike = answer.secrets.strike
    try:
        catalog = read_catalog(answer.body)
        desired = desired_offerings(broker, catalog.services)
    except InvalidCatalog as fault:
        return FetchedCatalog(answer, problem=strike(fault.message))
    except ValueError as error:
        return FetchedCatalog(answer, problem=strike(str(error)))
    return FetchedCatalog(
        replace(answer, body={}),
        desired=desired,
        remarks=tuple(map(strike, (*catalog.remarks, *remarks(catalog.services)))),
        left_out=tuple(replace(each, message=strike(each.message)) for each in catalog.problems),
    )
