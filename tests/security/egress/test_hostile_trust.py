"""What tenants give with their brokers to be trusted: many authorities, and another one with each change."""

import asyncio
import datetime as dt
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint, Tenancy
from chandlery.osb.transport import session_pool
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.osb.transport.session_pool import SessionPool
from chandlery.reconcile.answers import Verdict

pytestmark = pytest.mark.asyncio(loop_scope="session")

_KEY = ec.generate_private_key(ec.SECP256R1())
_BEGINS = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def _authority(number: int) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {number}")])
    made = x509.CertificateBuilder(
        name, name, _KEY.public_key(), number + 1, _BEGINS, _BEGINS + dt.timedelta(days=9999)
    )
    return made.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _bundle(count: int) -> str:
    return b64encode(b"".join(map(_authority, range(count)))).decode()


LARGE = _bundle(900)


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK)
    yield client
    await client.close()


async def test_a_bundle_of_hundreds_of_authorities_holds_nothing(client: OsbClient) -> None:
    # The loop's watchdog would notice.
    endpoint = BrokerEndpoint(url="https://127.0.0.1:1", ca_bundle=LARGE, timeout_seconds=30.0, tenancy=Tenancy())
    assert (await client.get_catalog(endpoint, known=None)).verdict == Verdict.TIMED_OUT


async def test_sessions_of_brokers_that_change_again_and_again_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_pool, "_MOST_BYTES", 2_000_000)
    pool = SessionPool(TRUSTING_LOOPBACK, connections=1, connect_seconds=1.0, idle_seconds=600.0)
    small = await asyncio.to_thread(_bundle, 20)
    in_use = await pool.borrow(BrokerEndpoint(url="https://127.0.0.1:1/in-use", ca_bundle=small))
    made = []
    for number in range(60):
        made.append(await pool.borrow(BrokerEndpoint(url=f"https://127.0.0.1:1/{number}", ca_bundle=small)))
        pool.give_back(made[-1])
    still_open = [each for each in made if not each.session.closed]
    assert 0 < sum(each.cost for each in still_open) <= 2_000_000
    assert made[-1] in still_open, "the longest idle go first"
    assert not in_use.session.closed
    await pool.close()
