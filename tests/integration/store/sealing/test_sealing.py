"""Sealed columns: keys are rotated by their names, ciphertexts stay where they belong, messages show no key."""

import base64
import os

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault, SealBroken
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import UNREADABLE
from chandlery.model.objects.core import Secret
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import CHANGES, OBJECTS, WORK_QUEUE
from chandlery.store.sealing.sealing import Keyring, SealPlace, new_key
from tests.integration.store import samples
from tests.integration.store.work import work

DATA = {"password": "aHVudGVyMg=="}
SECRETS = OBJECTS["Secret"]
HERE = SealPlace("Secret", "ns", "login", "uid")


def _secret(name: str) -> Secret:
    return Secret(metadata=samples.meta(name), data=DATA)


async def _secret_in(database: Database, namespace: str, name: str) -> Secret:
    found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, namespace, name))
    assert isinstance(found, Secret)
    return found


async def _read_with(url: str, keys: str, name: str) -> Secret:
    database = Database(open_engine(url, application_name="chandlery-test"), Keyring.parse(keys))
    try:
        return await _secret_in(database, "ns", name)
    finally:
        await database.close()


async def _write_with(url: str, keys: str, name: str) -> None:
    database = Database(open_engine(url, application_name="chandlery-test"), Keyring.parse(keys))
    try:
        await database.run(lambda unit: unit.objects.insert(_secret(name)))
    finally:
        await database.close()


async def test_keys_are_rotated_by_putting_the_new_one_first(database_url: str) -> None:
    old, new = new_key("2025"), new_key("2026")
    await _write_with(database_url, old, "before")
    await _write_with(database_url, f"{new}, {old}", "during")

    for name in ("before", "during"):
        assert (await _read_with(database_url, f"{new},{old}", name)).data == DATA
    assert (await _read_with(database_url, new, "during")).data == DATA
    unreadable = await _read_with(database_url, new, "before")
    assert unreadable.data is None
    assert "key named '2025', which is not configured" in (unreadable.metadata.annotations or {})[UNREADABLE]


async def test_another_key_of_the_same_name_opens_nothing(database_url: str) -> None:
    await _write_with(database_url, new_key("2026"), "login")

    assert (await _read_with(database_url, new_key("2026"), "login")).data is None


async def test_a_ciphertext_that_was_moved_to_another_secret_is_refused(
    database: Database, engine: AsyncEngine
) -> None:
    await samples.create(database, _secret("admin"), _secret("mine"))
    async with engine.begin() as connection:
        stolen = (await connection.execute(select(SECRETS.c.spec).where(SECRETS.c.name == "admin"))).scalar_one()
        await connection.execute(update(SECRETS).where(SECRETS.c.name == "mine").values(spec=stolen))

    assert (await _secret_in(database, "ns", "mine")).data is None


@pytest.mark.parametrize("column", ["namespace", "name"])
async def test_a_secret_that_is_given_to_another_tenant_by_sql_does_not_open_there(
    database: Database, engine: AsyncEngine, column: str
) -> None:
    (secret,) = await samples.create(database, _secret("login"))
    place = {"namespace": "ns", "name": "login", column: "thief"}
    async with engine.begin() as connection:
        await connection.execute(update(SECRETS).values({column: "thief"}))
        await connection.execute(update(CHANGES).values({column: "thief"}))

    stolen = await _secret_in(database, **place)
    assert stolen.data is None
    assert UNREADABLE in (stolen.metadata.annotations or {})
    (listed,) = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace=place["namespace"])))
    (watched,) = await samples.read_at_least(database, 1)
    assert getattr(listed, "data", "") is None
    assert getattr(samples.changed_object(database, watched), "data", "") is None

    async with engine.begin() as connection:
        await connection.execute(update(SECRETS).values(namespace="ns", name="login"))
    assert (await _secret_in(database, "ns", "login")).data == DATA
    assert secret.metadata.uid == stolen.metadata.uid


async def test_a_ciphertext_that_was_moved_to_another_reconciliation_is_refused(
    database: Database, engine: AsyncEngine
) -> None:
    for name in ("a", "b"):
        await work.add(database, name)
        held = await work.claim_surely(database, name)
        await work.release(database, held, due_at=samples.NOON, sealed={"of": name})
    column, uid = WORK_QUEUE.c.sealed, WORK_QUEUE.c.uid
    async with engine.begin() as connection:
        stolen = (await connection.execute(select(column).where(uid == "a"))).scalar_one()
        await connection.execute(update(WORK_QUEUE).where(uid == "b").values(sealed=stolen))

    held = await work.claim_surely(database, "b")
    assert (held.sealed, held.is_note_lost) == (None, True)


async def test_a_note_in_flight_is_lost_on_an_object_that_is_given_to_another_tenant(database: Database) -> None:
    await work.add(database, "a")
    held = (await work.claim_surely(database, "a")).on(samples.meta("db", "ns"))
    await work.release(database, held, due_at=samples.NOON, sealed={"credentials": "hunter2"})

    again = await work.claim_surely(database, "a")
    assert again.on(samples.meta("db", "ns")).sealed == {"credentials": "hunter2"}
    elsewhere = again.on(samples.meta("db", "thief"))
    assert (elsewhere.sealed, elsewhere.is_note_lost) == (None, True)


def test_the_same_document_is_sealed_differently_each_time(keyring: Keyring) -> None:
    assert keyring.seal(DATA, bound_to=HERE) != keyring.seal(DATA, bound_to=HERE)


@pytest.mark.parametrize("damage", ["", "2026", "2026:", "2026:!", "2026:AAAA", ":AAAA"])
def test_what_is_no_ciphertext_is_refused(damage: str) -> None:
    with pytest.raises(SealBroken):
        Keyring.parse(new_key("2026")).open(damage, bound_to=HERE)


def test_a_ciphertext_with_a_changed_byte_is_refused(keyring: Keyring) -> None:
    mark, _, encoded = keyring.seal(DATA, bound_to=HERE).rpartition(":")
    raw = bytearray(base64.b64decode(encoded))
    raw[20] ^= 1

    with pytest.raises(SealBroken):
        keyring.open(f"{mark}:{base64.b64encode(raw).decode()}", bound_to=HERE)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        pytest.param("2026:{short}", "named '2026' is not of the form", id="key too short"),
        pytest.param("2026:{key}x", "named '2026' is not of the form", id="no base64"),
        pytest.param("{key}", "without a readable name", id="no name"),
        pytest.param(":{key}", "without a readable name", id="empty name"),
        pytest.param("{key}:2026", "without a readable name", id="swapped"),
        pytest.param("{urlsafe}:2026", "without a readable name", id="swapped without padding"),
        pytest.param("a:{key},a:{key}", "two encryption keys have the same name", id="same name"),
        pytest.param("", "CHANDLERY_ENCRYPTION_KEYS", id="empty"),
        pytest.param(" , ", "CHANDLERY_ENCRYPTION_KEYS", id="only commas"),
    ],
)
def test_a_bad_key_setting_is_explained_without_the_key(setting: str, complaint: str) -> None:
    raw = os.urandom(32)
    key, short = base64.b64encode(raw).decode(), base64.b64encode(raw[:16]).decode()
    urlsafe = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    with pytest.raises(ConfigurationFault, match=complaint) as raised:
        Keyring.parse(setting.format(key=key, short=short, urlsafe=urlsafe))

    assert raised.value.__cause__ is None
    assert not any(part in str(raised.value) for part in (key, short, urlsafe))


def test_a_fingerprint_is_equal_for_equal_secrets_in_the_same_place_and_tells_nothing(keyring: Keyring) -> None:
    mine = keyring.fingerprint("s3cret", bound_to="broker/a")
    assert mine == keyring.fingerprint("s3cret", bound_to="broker/a")
    assert "s3cret" not in mine
    others = {
        keyring.fingerprint("other", bound_to="broker/a"),
        keyring.fingerprint("s3cret", bound_to="broker/b"),
        Keyring.parse(new_key("test")).fingerprint("s3cret", bound_to="broker/a"),
    }
    assert mine not in others


def test_a_keyring_shows_no_key() -> None:
    text = new_key("2026")
    keyring = Keyring.parse(text)

    assert text.partition(":")[2] not in f"{keyring!r} {vars(keyring)!r}"


def test_a_derived_key_belongs_to_its_purpose_and_to_the_key_it_is_made_from() -> None:
    old, new = new_key("2025"), new_key("2026")
    before, after = Keyring.parse(old), Keyring.parse(f"{new},{old}")

    assert list(after.derived("continue tokens")) == ["2026", "2025"]
    assert after.derived("continue tokens")["2025"] == before.derived("continue tokens")["2025"]
    every = [key for purpose in ("continue tokens", "parameters") for key in after.derived(purpose).values()]
    assert len(set(every)) == 4
    assert {len(key) for key in every} == {32}
    assert not any(base64.b64encode(key).decode() in (old + new) for key in every)
