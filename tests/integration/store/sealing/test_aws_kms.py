"""AWS KMS as moto plays it, in a process of its own: wrapped keys, a key that is not there, a server that is gone."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.data_key_cache import DataKeyCache
from chandlery.store.sealing.providers.aws_kms import AwsKms
from chandlery.store.sealing.providers.key_provider import KeyProviders, KeyRefused, KeysAway
from chandlery.store.sealing.sealing import Keyring
from tests.integration.store.sealing.key_hall import BRIEF, DATA, insert_secret, key_rows
from tests.support.moto_kms import REGION, MotoKms, moto_kms


@pytest.fixture(scope="module")
def kms() -> Iterator[MotoKms]:
    with moto_kms() as running:
        yield running


def _provider(kms: MotoKms, key_id: str = "") -> AwsKms:
    return AwsKms(key_id or kms.arn, region=REGION, endpoint_url=kms.url)


async def test_what_is_wrapped_unwraps_for_the_same_row_alone(kms: MotoKms) -> None:
    provider = _provider(kms)
    key, blob = await provider.wrap(b"k" * 32, context="chandlery/data/one")
    assert [key, await provider.key_in_use()] == [kms.arn, kms.arn]
    assert await provider.unwrap(key, blob, context="chandlery/data/one") == b"k" * 32
    assert b"k" * 32 not in blob
    with pytest.raises(KeyRefused, match="InvalidCiphertext"):
        await provider.unwrap(key, blob, context="chandlery/data/other")
    await provider.close()


async def test_a_key_that_is_not_there_is_refused_with_a_sentence(kms: MotoKms) -> None:
    with pytest.raises(KeyRefused, match=r"AWS KMS refuses the use of the key '.*' \(NotFoundException\)"):
        await _provider(kms, "11111111-2222-3333-4444-555555555555").wrap(b"k" * 32, context="c")
    with pytest.raises(ConfigurationFault, match="CHANDLERY_AWS_KMS_KEY_ID is not set"):
        AwsKms("")


async def test_calls_do_not_hold_up_the_loop_while_the_server_says_nothing(kms: MotoKms) -> None:
    provider = _provider(kms)
    kms.freeze()
    try:
        asked = asyncio.create_task(provider.wrap(b"k" * 32, context="c"))
        turns = 0
        while not asked.done():
            await asyncio.wait({asked}, timeout=0.01)
            turns += 1
        with pytest.raises(KeysAway, match="AWS KMS cannot be reached"):
            await asked
        assert turns > 1, "the loop went on"
    finally:
        kms.thaw()
        await provider.close()


async def test_a_database_is_read_from_memory_when_the_server_has_died(database_url: str, engine: AsyncEngine) -> None:
    with moto_kms() as mortal:
        keyring = Keyring([], cache=DataKeyCache(seconds=3600))
        database = Database(
            open_engine(database_url, application_name="chandlery-test"),
            keyring,
            providers=KeyProviders({"aws-kms": _provider(mortal)}),
            limits=BRIEF,
        )
        await database.data_keys.start()
        await database.run(lambda unit: unit.seals.check())
        await insert_secret(database)
        assert {row[1:3] for row in await key_rows(engine)} == {("aws-kms", mortal.arn)}

        mortal.kill()
        await insert_secret(database, "later")
        found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "login"))
        assert isinstance(found, Secret)
        assert found.data == DATA
        with pytest.raises(KeysAway, match="AWS KMS cannot be reached"):
            await database.data_keys.turn()
        keyring.data_keys.clear()
        with pytest.raises(KeysAway, match="a key to encrypt or decrypt stored data cannot be had now: AWS KMS"):
            await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "login"))
        await database.close()
