"""Checks of the keys: those listed, those of providers, and whether they open what is encrypted."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from chandlery.model.faults import Fault
from chandlery.process.choices.key_choice import require_keys
from chandlery.process.commands.doctor.check import KEYS, Check, Result, checks_of, ok, unused
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import key_verdicts
from chandlery.store.database import Database
from chandlery.store.sealing.data_key_rows import DataKeyRow
from chandlery.store.sealing.providers.key_provider import KeyRefused, KeysAway
from chandlery.store.sealing.providers.listed_keys import KeyFile
from chandlery.store.sealing.sealing import Keyring

_LISTED: Final = "encryption-keys"
_PROVIDERS: Final = "key-providers"
_UNREADABLE: Final = "the encryption keys cannot be read"
_MOST: Final = 500
_AT_ONCE: Final = 4

_check = checks_of(KEYS)


def key_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    looks = _KeyLooks(around)
    stored = ("schema", _LISTED)
    return [
        _check(_LISTED, "Can the keys in settings and file be read?", look=looks.listed, blocks=_UNREADABLE),
        _check(
            _PROVIDERS,
            "Does each key provider (AWS KMS, PKCS#11, others) answer, and encrypt and decrypt?",
            look=looks.providers,
            needs=(_LISTED,),
        ),
        _check("keys-match", "Are the keys those of this database?", look=looks.match, needs=stored),
        _check(
            "data-keys",
            "Can each data key of the database be decrypted by a provider that is set?",
            look=looks.data_keys,
            needs=stored,
        ),
        _check("data-key-age", "Are new data keys made in time?", look=looks.age, needs=stored),
        _check(
            "sealed-data",
            "Is there a data key, or a listed one, for everything that is encrypted?",
            look=looks.sealed,
            needs=stored,
        ),
    ]


class _KeyLooks:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def listed(self) -> Result:
        settings = self._around.settings
        require_keys(settings)
        keys = KeyFile(settings.encryption_keys_file, settings.encryption_keys.get_secret_value()).read()
        return key_verdicts.listed_keys(Keyring(keys).names)

    async def providers(self) -> Result:
        providers = (await self._around.sealed()).data_keys.providers
        answers = {}
        for name in providers.names:
            try:
                answers[name] = await providers.try_out(name)
            except (KeysAway, KeyRefused) as fault:
                answers[name] = fault  # type: ignore[assignment]
        return key_verdicts.providers(answers)

    async def match(self) -> Result:
        database = await self._around.sealed()
        if await database.run(lambda unit: unit.seals.verify()):
            return ok("the encryption keys are those of this database")
        return unused("nothing is encrypted yet")

    async def data_keys(self) -> Result:
        database = await self._around.sealed()
        rows = await database.data_keys.rows()
        return key_verdicts.data_keys(rows, await _refused(database, rows[:_MOST]), unseen=max(0, len(rows) - _MOST))

    async def age(self) -> Result:
        database = await self._around.sealed()
        rows = await database.data_keys.rows()
        has_sealed = not await database.run(lambda unit: unit.seals.is_untouched())
        days = self._around.settings.data_key_days
        return key_verdicts.data_key_age(rows, now=datetime.now(UTC), days=days, has_sealed=has_sealed)

    async def sealed(self) -> Result:
        database = await self._around.sealed()
        usage = await database.run(lambda unit: unit.key_usage.count())
        known = {*database.keyring.names, *(row.id for row in await database.data_keys.rows())}
        return key_verdicts.sealed_data(usage, known=known)


async def _refused(database: Database, rows: Sequence[DataKeyRow]) -> Mapping[str, Fault]:
    """Why data keys do not open, by id."""
    found: dict[str, Fault] = {}
    turns = asyncio.Semaphore(_AT_ONCE)

    async def try_one(row: DataKeyRow) -> None:
        async with turns:
            if any(isinstance(fault, KeysAway) for fault in found.values()):
                # The others would wait as long for the same answer.
                return
            try:
                await database.data_keys.providers.unwrap(row.wrapped, context=row.context)
            except (KeysAway, KeyRefused) as fault:
                found[row.id] = fault

    await asyncio.gather(*map(try_one, rows))
    return found
