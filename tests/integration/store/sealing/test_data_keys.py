"""Data keys seal, key-encryption keys wrap them, and what is in memory serves while the keys' provider is away."""

import asyncio
import re
from collections.abc import Sequence
from typing import cast

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from chandlery.engine.batches import Batches, Part
from chandlery.model.faults import ConfigurationFault, SealBroken
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import DATA_KEYS, OBJECTS
from chandlery.store.sealing.data_key_cache import DataKeyCache, KekName
from chandlery.store.sealing.data_keys import DataKeyLimits
from chandlery.store.sealing.providers.key_provider import KeysAway, TooManyKeys
from chandlery.store.sealing.sealing import Keyring, SealPlace, new_key
from tests.integration.store import samples
from tests.integration.store.sealing.key_hall import (
    DATA,
    Seconds,
    Vault,
    insert_secret,
    key_rows,
    marks,
    process,
)
from tests.support.waiting import eventually

HERE = SealPlace("Secret", "ns", "login", "uid")


async def _read(database: Database, name: str = "login") -> Secret:
    found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", name))
    assert isinstance(found, Secret)
    return found


async def test_a_new_database_is_sealed_with_data_keys_that_only_the_keys_of_the_settings_unwrap(
    database_url: str, engine: AsyncEngine
) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await insert_secret(database)

    rows = await key_rows(engine)
    assert [row[:3] for row in rows] == [("data", "keys", "first"), ("root", "keys", "first")]
    (mark,) = (await marks(engine))["secrets"]
    assert re.fullmatch(r"dk-[0-9a-f]{16}", mark)
    async with process(database_url, keys) as database:
        assert (await _read(database)).data == DATA
    for wrong in (new_key("first"), new_key("other")):
        with pytest.raises(ConfigurationFault, match=r"the encryption keys do not match the database: .*'first'"):
            async with process(database_url, wrong):
                pass


async def test_a_database_from_before_goes_on_as_it_was_until_somebody_makes_a_data_key(
    database_url: str, engine: AsyncEngine
) -> None:
    keys = new_key("first")
    async with process(database_url, keys, starts=False) as before:
        await before.run(lambda unit: unit.seals.check())
        await insert_secret(before, "old")
    async with process(database_url, keys) as one, process(database_url, keys) as other:
        await insert_secret(one, "direct")
        checksum = one.keyring.checksums.ids[0]
        assert (await marks(engine))["secrets"] == {"first"}

        made = await one.data_keys.turn()
        await insert_secret(one, "enveloped")
        assert (await marks(engine))["secrets"] == {"first", made.id}
        assert (await _read(other, "enveloped")).data == (await _read(other, "old")).data == DATA
        assert one.keyring.checksums.ids[0] != checksum
        assert set(one.keyring.checksums.ids) == set(other.keyring.checksums.ids), "both know what both write"
        await other.data_keys.keep()
        assert other.keyring.checksums.ids == one.keyring.checksums.ids
        assert other.keyring.fingerprint("s", bound_to="a") == one.keyring.fingerprint("s", bound_to="a")


async def test_two_processes_that_start_at_once_on_a_new_database_understand_each_other(
    database_url: str, engine: AsyncEngine
) -> None:
    keys = new_key("first")
    async with (
        process(database_url, keys, starts=False) as one,
        process(database_url, keys, starts=False) as other,
    ):
        await asyncio.gather(one.data_keys.start(), other.data_keys.start())
        await asyncio.gather(*(each.run(lambda unit: unit.seals.check()) for each in (one, other)))
        await asyncio.gather(insert_secret(one, "a"), insert_secret(other, "b"))
        assert {(await _read(one, "b")).data == DATA, (await _read(other, "a")).data == DATA} == {True}
        assert one.keyring.derived("x") == other.keyring.derived("x")
    assert [row[0] for row in await key_rows(engine)].count("root") == 1


async def test_a_data_key_is_committed_before_anything_is_sealed_with_it(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault()
    async with process(database_url, vault=vault, limits=DataKeyLimits(writes=16, wait_seconds=0)) as database:
        stored: list[bool] = []
        seal = Keyring.seal

        def noted(keyring: Keyring, *given: object, **named: object) -> str:
            text = seal(keyring, *given, **named)  # type: ignore[arg-type]
            used.add(text.partition(":")[0])
            return text

        used: set[str] = set()
        monkeypatch.setattr(Keyring, "seal", noted)
        for number in range(40):
            await insert_secret(database, f"login-{number}")
            async with engine.connect() as connection:
                known = set((await connection.execute(select(DATA_KEYS.c.id))).scalars())
            stored.append(used <= known)
    assert all(stored)
    assert len(used) >= 40 // 16
    assert all(writes <= 16 for *_, writes in await key_rows(engine))


async def test_reading_and_writing_ask_the_provider_for_nothing_once_a_key_is_at_hand(database_url: str) -> None:
    vault = Vault()
    async with process(database_url, vault=vault) as database:
        await insert_secret(database)
        before = vault.calls
        for number in range(20):
            await insert_secret(database, f"login-{number}")
        found = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace="ns")))
        assert len(found) == 21
        assert vault.calls == before


async def test_a_data_key_that_is_too_old_is_followed_by_a_new_one(database_url: str, engine: AsyncEngine) -> None:
    clock = Seconds()
    cache = DataKeyCache(clock=clock)
    async with process(database_url, vault=Vault(), limits=DataKeyLimits(days=1 / 86_400), cache=cache) as database:
        await insert_secret(database, "a")
        clock.now += 2
        # The rows' clock stands still in this test: the key is made older instead.
        async with engine.begin() as connection:
            await connection.execute(update(DATA_KEYS).values(created_at=samples.NOON.replace(year=2020)))
        await insert_secret(database, "b")
    assert len((await marks(engine))["secrets"]) == 2


async def test_while_the_provider_is_away_what_is_in_memory_serves_and_then_nothing_is_read_or_written(
    database_url: str, engine: AsyncEngine
) -> None:
    clock, vault = Seconds(), Vault()
    async with process(database_url, vault=vault, cache=DataKeyCache(seconds=100, clock=clock)) as database:
        await insert_secret(database)
        vault.is_away = True
        clock.now += 99
        assert (await _read(database)).data == DATA
        await insert_secret(database, "written")

        clock.now += 2
        with pytest.raises(KeysAway, match="cannot be had now: the vault cannot be reached"):
            await _read(database)
        with pytest.raises(KeysAway):
            await insert_secret(database, "refused")
        await samples.create(database, samples.instance("db"))
        assert database.data_keys.trouble

        vault.is_away = False
        await asyncio.sleep(0)
        database.data_keys.forget_failure()
        assert (await _read(database)).data == DATA
        await insert_secret(database, "refused")
        await database.data_keys.keep()
        assert not database.data_keys.trouble
    async with engine.connect() as connection:
        names = (await connection.execute(select(OBJECTS["Secret"].c.name))).scalars()
    assert set(names) == {"login", "written", "refused"}


async def test_a_key_in_reach_vouches_for_all_that_it_has_wrapped(database_url: str) -> None:
    clock, vault = Seconds(), Vault()
    cache = DataKeyCache(seconds=100, clock=clock)
    async with process(database_url, vault=vault, cache=cache) as database:
        for name in ("a", "b", "c"):
            await database.data_keys.turn()
            await insert_secret(database, name)
        clock.now += 90
        before = vault.calls
        cache.vouch(KekName("vault", "first"))
        clock.now += 90
        found = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace="ns")))
        assert [len(found), vault.calls] == [3, before]


async def test_a_batch_that_needs_more_keys_than_are_kept_is_done_in_parts(database_url: str) -> None:
    cache, names = DataKeyCache(most=3), ["a", "b", "c", "d"]
    async with process(database_url, vault=Vault(), cache=cache) as database:
        for name in names:
            await database.data_keys.turn()
            await insert_secret(database, name)

        async def read(parts: Sequence[Part[str]]) -> list[AnyObject | None]:
            wanted = [part.item for part in parts]
            return await database.run(lambda unit: _all_of(unit, wanted))

        with pytest.raises(TooManyKeys, match="ask for less at once"):
            await database.run(lambda unit: _all_of(unit, names))
        batches = Batches[str, AnyObject | None](read, limit=32)
        found = await asyncio.gather(*map(batches, names))
        assert [cast("Secret", secret).data for secret in found] == [DATA] * 4


async def _all_of(unit: UnitOfWork, names: Sequence[str]) -> list[AnyObject | None]:
    return [await unit.objects.get(kinds.SECRET, "ns", name) for name in names]


async def test_a_wait_for_the_provider_ends_when_it_is_back(database_url: str) -> None:
    vault = Vault()
    async with process(database_url, vault=vault) as database:
        await insert_secret(database)
    async with process(database_url, vault=vault, limits=DataKeyLimits(wait_seconds=60)) as database:
        database.keyring.data_keys.clear()
        vault.is_away = True
        reading = asyncio.create_task(_read(database))
        asked = vault.calls
        await eventually(lambda: vault.calls > asked)
        vault.is_away = False
        assert (await reading).data == DATA


async def test_a_wrapped_key_in_the_place_of_another_does_not_unwrap(database_url: str, engine: AsyncEngine) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await insert_secret(database)
    async with engine.begin() as connection:
        root = select(DATA_KEYS.c.wrapped).where(DATA_KEYS.c.purpose == "root").scalar_subquery()
        await connection.execute(update(DATA_KEYS).where(DATA_KEYS.c.purpose == "data").values(wrapped=root))
    with pytest.raises(ConfigurationFault):
        async with process(database_url, keys):
            pass


async def test_what_a_lost_data_key_sealed_is_told_to_be_unreadable(database_url: str, engine: AsyncEngine) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await insert_secret(database)
        await database.data_keys.turn()
        await database.run(lambda unit: unit.seals.move_on(to_newest=True))
    async with engine.begin() as connection:
        await connection.execute(delete(DATA_KEYS).where(DATA_KEYS.c.closed_at.is_not(None)))
    async with process(database_url, keys) as database:
        broken = await _read(database)
        assert broken.data is None
        with pytest.raises(SealBroken, match="which is not stored"):
            database.keyring.open(broken.sealed or "", bound_to=HERE)


async def test_nothing_shows_a_key(database_url: str) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await insert_secret(database)
        (root,) = [row for row in await database.data_keys.rows() if row.purpose == "root"]
        shown = f"{vars(database.keyring)!r} {vars(database.data_keys)!r} {vars(database.keyring.data_keys)!r} {root!r}"
    assert keys.partition(":")[2] not in shown
    assert root.wrapped.text not in shown


async def test_trouble_is_over_only_when_the_provider_has_answered(database_url: str) -> None:
    clock, vault = Seconds(), Vault()
    cache = DataKeyCache(seconds=100, clock=clock)
    async with process(database_url, vault=vault, cache=cache) as database:
        await insert_secret(database)
        await database.data_keys.keep()
        vault.is_away = True
        database.data_keys.note(KeysAway("the vault cannot be reached"))
        with capture_logs() as logged:
            for _ in range(3):
                with pytest.raises(KeysAway):
                    await database.data_keys.keep()
                database.data_keys.note(KeysAway("the vault cannot be reached"))
        assert database.data_keys.trouble
        assert logged == [], "it has been told"
        vault.is_away = False
        await database.data_keys.keep()
        assert not database.data_keys.trouble
