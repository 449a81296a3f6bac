"""The brokers of the tests are on this machine, where by default none may be: the settings that allow it."""

from types import MappingProxyType
from typing import Final

from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.reconcile.egress.egress_rules import LOOPBACK
from chandlery_gateway.admission.catalog.broker_places import broker_places

BROKERS_OF_TESTS: Final = MappingProxyType(
    {
        "CHANDLERY_BROKER_TRUSTED_NETWORKS": LOOPBACK,
        # Names of tests lead nowhere, and asking for them takes as long as the machine likes.
        "CHANDLERY_BROKER_LOOKUP_SECONDS": "0",
        # Nobody measures how long they take to fail.
        "CHANDLERY_TENANT_FAILURE_SECONDS": "0",
    }
)

PLACES_OF_TESTS: Final = broker_places(TRUSTING_LOOPBACK, lookup_seconds=0.0)
"""The same for admission."""
