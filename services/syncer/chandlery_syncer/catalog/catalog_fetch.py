"""Fetches a catalog and makes the desired classes and plans of it, while no transaction is open."""

import asyncio
import uuid
from dataclasses import dataclass, replace

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import AnyBroker
from chandlery.osb.catalog.catalog_reading import read_catalog
from chandlery.osb.catalog.catalog_remarks import CatalogRemarks
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import InvalidCatalog
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery_syncer.catalog.catalog_objects import Offerings, desired_offerings


@dataclass(frozen=True)
class Fetched:
    """The answer, and what it brought."""

    answer: Answer
    desired: Offerings | None = None
    """None if the answer brought no catalog, or one that cannot be used."""
    problem: str | None = None
    """What is wrong with the catalog."""
    remarks: tuple[str, ...] = ()
    """What is odd about it and was accepted all the same."""
    left_out: tuple[FieldProblem, ...] = ()
    """Why some of it was not."""


async def fetch_catalog(
    osb: OsbClient, endpoint: BrokerEndpoint, *, broker: AnyBroker, known: CatalogMark | None, remarks: CatalogRemarks
) -> Fetched:
    """Ask for the catalog and check it. Does not raise for anything that a broker does."""
    answer = await osb.get_catalog(endpoint, known=known, request_id=str(uuid.uuid4()))
    if answer.verdict != Verdict.SUCCEEDED:
        return Fetched(answer)
    # Beside the event loop: catalogs can be large, and each schema is held against the rules of its draft.
    return await asyncio.to_thread(_read, answer, broker, remarks)


def _read(answer: Answer, broker: AnyBroker, remarks: CatalogRemarks) -> Fetched:
    strike = answer.secrets.strike
    try:
        catalog = read_catalog(answer.body)
        desired = desired_offerings(broker, catalog.services)
    except InvalidCatalog as fault:
        return Fetched(answer, problem=strike(fault.message))
    except ValueError as error:
        return Fetched(answer, problem=strike(str(error)))
    return Fetched(
        replace(answer, body={}),
        desired=desired,
        remarks=tuple(map(strike, (*catalog.remarks, *remarks(catalog.services)))),
        left_out=tuple(replace(each, message=strike(each.message)) for each in catalog.problems),
    )
