"""What the names of brokers are resolved to, looked at before one is stored, so that a mistake is told at once.

Only for brokers of the cluster: an answer to a tenant would tell which names exist inside. Not within a transaction,
and not for long: a name that is not resolved in time, or only where the workers are, is accepted. They check each
connection in any case.
"""

import asyncio
from collections.abc import Iterable

from chandlery.model.faults import FieldProblem, Invalid
from chandlery.osb.transport.name_lookups import NameLookups
from chandlery.reconcile.egress.host_spelling import host_of
from chandlery_gateway.admission.brokers.broker_address_admission import BrokerPlaces, NamedPlace, resolved_problem

_THREADS = 4


class BrokerNames:
    """The look-ups of one gateway."""

    def __init__(self, places: BrokerPlaces) -> None:
        self._places = places
        self._seconds = places.lookup_seconds
        self._lookups = NameLookups(threads=_THREADS).share_of("")

    async def check(self, named: Iterable[NamedPlace]) -> None:
        """Raises Invalid if a name leads nowhere that a broker may be called."""
        if self._seconds <= 0:
            return
        found = await asyncio.gather(*(self._problem(place) for place in named))
        if problems := tuple(problem for problem in found if problem is not None):
            raise Invalid(problems=problems)

    async def _problem(self, place: NamedPlace) -> FieldProblem | None:
        host = host_of(place.url)
        try:
            async with asyncio.timeout(self._seconds):
                addresses = await self._lookups.addresses_of(host.name)
        except (OSError, TimeoutError, UnicodeError):
            return None
        return resolved_problem(place, host, addresses, self._places)
