"""Lists while somebody has a transaction open: what they show is what their version says, or is repeated by a watch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chandlery.model.objects import kinds
from chandlery_gateway.read import object_reader as snapshot_waits
from tests.integration.gateway.api_client import SECRETS, Document, names, secret
from tests.integration.gateway.conftest import Running
from tests.integration.store.samples import OpenTransaction, held_open, sample
from tests.support.waiting import SOON

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

LONG_ENOUGH_TO_ANSWER = 0.3


@asynccontextmanager
async def _somebody_writes(gateway: Running) -> AsyncIterator[OpenTransaction]:
    """A Secret elsewhere is made, and its transaction stays open."""
    database = gateway.resources.database
    async with held_open(database, lambda unit: unit.objects.insert(sample(kinds.SECRET, "slow"))) as transaction:
        yield transaction


@pytest.fixture
def concurrent(gateway: Running, store: str) -> Running:
    """A gateway on a database where transactions stay open side by side."""
    if store == "sqlite":
        pytest.skip("SQLite has one writer at a time: nothing is open while another commits")
    return gateway


async def test_a_list_waits_for_transactions_that_are_open_when_it_is_asked_for(
    concurrent: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_waits, "_SETTLING_SECONDS", SOON)
    async with _somebody_writes(concurrent) as transaction:
        await concurrent.api.made(SECRETS, secret("quick"))
        listing = asyncio.create_task(concurrent.api.get(SECRETS))
        answered, _ = await asyncio.wait({listing}, timeout=LONG_ENOUGH_TO_ANSWER)
        assert not answered
        await transaction.commit()
        listed = (await listing).document
    assert names(listed) == ["quick"]
    assert _version(listed) >= max(_version(item) for item in listed["items"])


async def test_a_watch_from_a_list_does_not_begin_with_what_the_list_has_shown(
    concurrent: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_waits, "_SETTLING_SECONDS", SOON)
    api = concurrent.api
    async with _somebody_writes(concurrent) as transaction:
        await api.made(SECRETS, secret("shown"))
        listing = asyncio.create_task(api.get(SECRETS))
        await asyncio.wait({listing}, timeout=LONG_ENOUGH_TO_ANSWER)
        await transaction.commit()
        version = (await listing).document["metadata"]["resourceVersion"]
    async with api.watch(SECRETS, resourceVersion=version) as watch:
        await api.made(SECRETS, secret("later"))
        assert (await watch.next())["object"]["metadata"]["name"] == "later"


async def test_a_transaction_that_stays_open_does_not_hold_up_lists(
    concurrent: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They show what is committed, with a version from which a watch leaves nothing out."""
    monkeypatch.setattr(snapshot_waits, "_SETTLING_SECONDS", 0.05)
    async with _somebody_writes(concurrent):
        made = await concurrent.api.made(SECRETS, secret("quick"))
        listed = (await concurrent.api.get(SECRETS)).document
    assert names(listed) == ["quick"]
    assert _version(listed) < _version(made)


def _version(document: Document) -> int:
    return int(document["metadata"]["resourceVersion"])
