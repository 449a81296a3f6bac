"""`chandlery keys`: what it counts, changes and says, beside processes that are at work."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.upkeep.reseal_everything import remove_unused, reseal_everything
from chandlery.engine.upkeep.seal_keeping import reseal
from chandlery.model.faults import ConfigurationFault, Unavailable
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.process.choices.key_choice import make_database
from chandlery.process.commands.keys.key_views import advice, as_table
from chandlery.settings.settings import Settings
from chandlery.store.database import Database
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import DATA_KEYS
from chandlery.store.sealing.providers.listed_keys import KeyFile
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.store import samples
from tests.integration.store.sealing.key_hall import DATA, Vault, insert_secret, key_rows, marks, process
from tests.integration.store.work import work


async def _note(database: Database) -> str:
    """A worker's note, of an instance that exists."""
    created = await samples.create_one(database, samples.instance("db"))
    uid = created.metadata.uid or ""
    await work.add(database, uid)
    held = (await work.claim_surely(database, uid)).on(created.metadata)
    await work.release(database, held, due_at=samples.NOON, sealed={"credentials": DATA})
    return uid


async def _reseal(database: Database) -> dict[str, int]:
    return {each.what: each.done async for each in reseal_everything(database) if each.is_last}


async def _advice(database: Database) -> list[str]:
    return await advice(
        database, await database.data_keys.rows(), await database.run(lambda unit: unit.key_usage.count())
    )


async def _all_read(database: Database) -> int:
    found = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace="ns")))
    return sum(isinstance(each, Secret) and each.data == DATA for each in found)


async def test_a_database_from_before_moves_to_data_keys_and_then_needs_its_old_key_no_more(
    database_url: str, engine: AsyncEngine
) -> None:
    old, new = new_key("old"), new_key("new")
    async with process(database_url, old, starts=False) as before:
        await before.run(lambda unit: unit.seals.check())
        await insert_secret(before)
        uid = await _note(before)
    async with process(database_url, f"{new},{old}") as database:
        made = await database.data_keys.turn()
        await database.data_keys.rewrap()
        assert any(line.startswith("old still decrypts 1 secrets") for line in await _advice(database))
        done = {what: count for what, count in (await _reseal(database)).items() if count}
        assert done == {"secrets": 1, "notes of workers": 1, "entries of the change log": 1}
        assert set((await _reseal(database)).values()) == {0}
        assert await marks(engine) == {"secrets": {made.id}, "changes": {made.id}, "work": {made.id}}
        [sentence] = await _advice(database)
        assert sentence.startswith("old is no longer used anywhere; remove it from CHANDLERY_ENCRYPTION_KEYS or CHANDL")
        assert sentence.endswith("CHANDLERY_ENCRYPTION_KEYS_FILE (older backups still need it)")
    async with process(database_url, new) as database:
        assert await _all_read(database) == 1
        assert (await work.claim_surely(database, uid)).sealed == {"credentials": DATA}


async def test_resealing_that_is_cut_off_is_begun_again_and_loses_nothing_while_others_write(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chandlery.engine.upkeep.reseal_everything._STEP", 5)
    keys = new_key("first")
    async with process(database_url, keys) as database, process(database_url, keys) as service:
        for number in range(20):
            await insert_secret(service, f"login-{number}")
        made = await database.data_keys.turn()

        cut = asyncio.create_task(_reseal(database))
        for number in range(20, 25):
            await insert_secret(service, f"login-{number}")
        cut.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cut
        assert await _all_read(service) == 25

        done = await _reseal(database)
        assert done["secrets"] <= 25
        assert (await marks(engine))["secrets"] == {made.id}
        assert await _all_read(service) == 25


async def test_data_keys_move_to_the_key_in_front_without_a_text_being_sealed_anew(
    database_url: str, engine: AsyncEngine
) -> None:
    old, new = new_key("old"), new_key("new")
    async with process(database_url, old) as database:
        await insert_secret(database)
    before = await marks(engine)
    async with process(database_url, f"{new},{old}") as database:
        await reseal(database, owner="me")
        assert {row[2] for row in await key_rows(engine)} == {"new"}
        assert await marks(engine) == before
        assert "old is no longer used anywhere" in (await _advice(database))[0]
    async with process(database_url, new) as database:
        assert await _all_read(database) == 1


async def test_keys_move_to_another_provider_and_keep_what_is_derived_from_them(
    database_url: str, engine: AsyncEngine
) -> None:
    keys, vault = new_key("first"), Vault()
    async with process(database_url, keys) as database:
        await insert_secret(database)
        derived = database.keyring.derived("tokens")["the root secret"]
    async with process(database_url, keys, vault=vault) as database:
        assert await database.data_keys.rewrap() == (2, 0)
        assert "first is no longer used anywhere" in (await _advice(database))[0]
    async with process(database_url, vault=vault) as database:
        assert await _all_read(database) == 1
        assert database.keyring.derived("tokens") == {"the root secret": derived}
    assert {row[1] for row in await key_rows(engine)} == {"vault"}


async def test_a_data_key_goes_when_nothing_is_sealed_with_it_and_nobody_can_seal_with_it(
    database_url: str, engine: AsyncEngine
) -> None:
    async with process(database_url, new_key("first")) as database:
        await insert_secret(database)
        await database.data_keys.turn()
        async with engine.begin() as connection:
            closed = DATA_KEYS.c.closed_at.is_not(None)
            await connection.execute(update(DATA_KEYS).where(closed).values(closed_at=samples.NOON.replace(year=2020)))
        assert await remove_unused(database) == []
        await _reseal(database)
        assert len(await remove_unused(database)) == 1
        assert await _all_read(database) == 1


async def test_the_list_names_keys_and_what_they_seal_and_shows_none(database_url: str) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await insert_secret(database)
        await _note(database)
        usage = await database.run(lambda unit: unit.key_usage.count())
        sealing = database.keyring.data_keys.sealing_id
        table = as_table(await database.data_keys.rows(), usage, listed=database.keyring.names, in_use=sealing)
    assert "1 secrets, 1 entries of the change log, 1 notes of workers, 1 the canary" in table
    assert "seals" in next(line for line in table.splitlines() if line.startswith(sealing))
    assert keys.partition(":")[2] not in table


async def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = new_key("first"), new_key("second")
    path.write_text(f"# ours\n{first}\n")
    file = KeyFile(path, "")
    keyring = Keyring(file.read())
    assert not await file.reread(keyring.replace_keys)
    path.write_text(f"{second}\n{first}\n")
    assert await file.reread(keyring.replace_keys)
    assert list(keyring.names) == ["second", "first"]
    for text, why in (("nonsense", "is not of the form name:base64"), (f"{first}\n{first}", "have the same name")):
        path.write_text(text)
        for _ in range(2):
            with pytest.raises(ConfigurationFault, match=why):
                await file.reread(keyring.replace_keys)
    assert keyring.name == "second", "what was read before still counts"


async def test_a_key_that_is_gone_from_the_file_is_missed_at_once_by_a_process_that_runs(
    database_url: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    path.write_text(right := new_key("first"))
    settings = Settings(database_url=SecretStr(database_url), encryption_keys_file=path)
    sealed = make_database(settings, engine)
    await sealed.database.data_keys.start()
    await sealed.keeping.keep()
    await sealed.keeping.check_provider()
    for text, why in (
        (new_key("second"), "encrypted with the key named 'first', which is not configured"),
        ("# nothing", "has no key in it"),
    ):
        path.write_text(text)
        for _ in range(2):
            await sealed.keeping.keep()
            with pytest.raises(Unavailable, match=why):
                await sealed.keeping.check_provider()
        await sealed.keeping.check_keys()
        path.write_text(right)
        await sealed.keeping.keep()
        await sealed.keeping.check_provider()
    assert sealed.may_lose_keys
