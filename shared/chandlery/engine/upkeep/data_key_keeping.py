"""Keeps data keys at hand, and reads the file of keys again when it has changed. Runs beside the services of a process.

What is done here is done so that requests need not wait; whatever fails is tried again, and told once.
"""

import asyncio
from typing import Final

import structlog

from chandlery.model.faults import ConfigurationFault, Fault, Unavailable
from chandlery.store.database import Database
from chandlery.store.sealing.providers.key_provider import KeyRefused, KeysAway
from chandlery.store.sealing.providers.listed_keys import KeyFile

log = structlog.get_logger(__name__)

_TICK_SECONDS: Final = 1.0


class DataKeyKeeping:
    """The keys of one process."""

    def __init__(self, database: Database, file: KeyFile) -> None:
        self._database = database
        self._file = file
        self._told = ""
        self._file_trouble = ""

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.keep()
            await asyncio.sleep(_TICK_SECONDS)

    async def keep(self) -> None:
        """Once. Raises nothing."""
        try:
            await self._read_file()
            await self._database.data_keys.keep()
        except (KeysAway, KeyRefused) as fault:
            self._database.data_keys.note(fault)
        except Fault as fault:
            self._tell(fault.message)
        except Exception as error:  # noqa: BLE001 - without this loop every request would wait for keys
            self._tell(type(error).__name__)
        else:
            self._told = ""

    async def _read_file(self) -> None:
        """Go on with the keys that there are if it cannot be read."""
        trouble = ""
        try:
            if await self._file.reread(self._database.keyring.replace_keys):
                log.info("the file of encryption keys was read again", action="read_keys")
                # Else a key that was taken out too early would be missed in a quarter of an hour, or at the next start.
                self._database.data_keys.doubt()
        except ConfigurationFault as fault:
            trouble = fault.message
        if trouble and trouble != self._file_trouble:
            log.error(f"the keys stay as they were: {trouble}", action="read_keys")
        self._file_trouble = trouble

    async def check_provider(self) -> None:
        """A part of readiness: raises Unavailable while a key-encryption key cannot be had."""
        if why := self._database.data_keys.trouble or self._file_trouble:
            raise Unavailable(why)

    async def check_keys(self) -> None:
        """A part of readiness: raises Unavailable once that is in the way."""
        keys = self._database.data_keys
        if keys.trouble and not keys.can_go_on:
            raise Unavailable(f"data can be neither encrypted nor decrypted: {keys.trouble}")

    def _tell(self, why: str) -> None:
        if why != self._told:
            log.error(f"the upkeep of encryption keys failed and is tried again: {why}", action="keep_data_keys")
        self._told = why
