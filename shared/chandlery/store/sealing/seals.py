"""Whether the configured keys are those of the database. `composition` asks before anything else is read.

The canary is a small text in `marks`, sealed like everything else. It stays with an old key until `resealing` has left
nothing of that one, so that a key which is taken out too early is noticed at the start. It also says whether texts of
the first form are still to be believed.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from chandlery.model.faults import ConfigurationFault, SealBroken
from chandlery.model.objects import kinds
from chandlery.store.rows import RowCodec
from chandlery.store.schema import MARKS, OBJECTS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sealing.data_keys import WAY_OUT
from chandlery.store.sealing.sealing import Keyring, SealPlace, is_of_data_key
from chandlery.store.work.sealed_notes import open_note

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

CANARY = "encryption canary"
"""The mark that holds it."""
_PLACE = SealPlace("canary", "", "", "")
_REFUSES = "refuses first form"
_SECRETS = OBJECTS[kinds.SECRET.kind]
_SAMPLE = 20


class SealStore:
    """The canary, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", keyring: Keyring, codec: RowCodec) -> None:
        self._connection = connection
        self._keyring = keyring
        self._codec = codec

    async def check(self) -> None:
        """Look at the canary, or set it; raises ConfigurationFault if the keys are not those of the database."""
        if await self._canary() is None:
            await self._set(refuses=not await self._has_sealed())
        await self.verify()

    async def verify(self) -> bool:
        """Whether there is sealed data at all; raises ConfigurationFault if the keys are not those that sealed it.

        Writes nothing.
        """
        canary = await self._canary()
        if canary is None:
            return await self._has_sealed()
        try:
            self._keyring.refuses_first_form = bool(self._keyring.open(canary, bound_to=_PLACE)[_REFUSES])
        except SealBroken as fault:
            raise self._misfit(canary, fault) from None
        return True

    async def is_untouched(self) -> bool:
        """Whether nothing has ever been sealed in this database."""
        if await self._canary() is not None:
            return False
        secret = await self._connection.execute(select(_SECRETS.c.uid).limit(1))
        note = await self._connection.execute(select(W.c.uid).where(W.c.sealed.is_not(None)).limit(1))
        return secret.first() is None and note.first() is None

    async def canary_mark(self) -> str:
        """What the canary is sealed with: its text up to the first colon."""
        return (await self._canary() or "").partition(":")[0]

    async def move_on(self, *, to_newest: bool = False) -> bool:
        """Seal the canary with what seals now and refuse the first form; False if both was so already.

        Any data key will do, unless `to_newest`.
        """
        canary = await self._canary() or ""
        if self._keyring.seals_like(canary, exactly=to_newest) and self._keyring.refuses_first_form:
            return False
        text = self._keyring.seal({_REFUSES: True}, bound_to=_PLACE)
        await self._connection.execute(update(MARKS).where(MARKS.c.name == CANARY).values(value=text))
        self._keyring.refuses_first_form = True
        return True

    async def _canary(self) -> str | None:
        return (await self._connection.execute(select(MARKS.c.value).where(MARKS.c.name == CANARY))).scalar()

    async def _set(self, *, refuses: bool) -> None:
        text = self._keyring.seal({_REFUSES: refuses}, bound_to=_PLACE)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(MARKS).values(name=CANARY, value=text))
        except IntegrityError:
            # Another process was first; its canary is looked at like any other.
            return

    async def _has_sealed(self) -> bool:
        """Whether there is sealed data from before canaries; raises ConfigurationFault if none of it opens."""
        newest = select(_SECRETS).order_by(_SECRETS.c.created_at.desc()).limit(_SAMPLE)
        secrets = (await self._connection.execute(newest)).mappings().all()
        noted = select(W.c.uid, W.c.sealed).where(W.c.sealed.is_not(None)).limit(_SAMPLE)
        notes = (await self._connection.execute(noted)).mappings().all()
        if not secrets and not notes:
            return False
        if any(self._opens_secret(row) for row in secrets) or any(self._opens_note(row) for row in notes):
            return True
        raise self._misfit(str(secrets[0]["spec"].get("sealed", "")) if secrets else notes[0]["sealed"], SealBroken())

    def _opens_secret(self, row: Any) -> bool:
        try:
            self._codec.open_row(row)
        except SealBroken:
            return False
        return True

    def _opens_note(self, row: Any) -> bool:
        try:
            open_note(self._keyring, row["uid"], row["sealed"])
        except SealBroken:
            return False
        return True

    def _misfit(self, sealed: str, fault: SealBroken) -> ConfigurationFault:
        name = sealed.partition(":")[0]
        if is_of_data_key(sealed):
            why = fault.message
        elif self._keyring.knows(name):
            why = f"the key named {name!r} is another one than the key of that name which has encrypted its data"
        else:
            why = f"its data is encrypted with the key named {name!r}, which is not configured"
        return ConfigurationFault(f"the encryption keys do not match the database: {why}; {WAY_OUT}")
