"""What `chandlery keys` prints: a table of keys, and which of them may go."""

from collections.abc import Iterator, Sequence
from typing import Final

from chandlery.model.faults import Fault
from chandlery.store.database import Database
from chandlery.store.sealing.data_key_cache import KekName
from chandlery.store.sealing.data_key_rows import ROOT, DataKeyRow
from chandlery.store.sealing.key_usage import Usage
from chandlery.store.sealing.providers.key_provider import LISTED

_HEAD: Final = ("KEY", "ENCRYPTED WITH", "CREATED", "STATE", "ENCRYPTS")
_SETTINGS: Final = "CHANDLERY_ENCRYPTION_KEYS or CHANDLERY_ENCRYPTION_KEYS_FILE"


def as_table(rows: Sequence[DataKeyRow], usage: Usage, *, listed: Sequence[str], in_use: str) -> str:
    """Data keys, the newest first, then the keys of the settings."""
    lines = [_HEAD, *(_of_row(row, usage, in_use) for row in rows)]
    lines += [(name, "", "", "in the settings", _told(usage, name)) for name in listed]
    known = {row.id for row in rows} | set(listed)
    lines += [(name, "", "", "missing", _told(usage, name)) for name in sorted(usage.keys() - known)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(
        "   ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


async def advice(database: Database, rows: Sequence[DataKeyRow], usage: Usage) -> list[str]:
    """Sentences about what may go, and what has to stay for what reason."""
    try:
        in_use = await database.data_keys.providers.kek_in_use()
    except Fault as fault:
        return [f"which key-encryption key is in use cannot be told: {fault.message}"]
    wrapping = {row.wrapped.kek for row in rows}
    said = list(_of_listed(database.keyring.names, wrapping, usage, in_use))
    others = (kek for kek in sorted(wrapping - {in_use}, key=str) if kek.provider != LISTED)
    said += [f"{kek} still decrypts data keys; encrypt them with {in_use}: chandlery keys rotate" for kek in others]
    return said


def _of_listed(names: Sequence[str], wrapping: set[KekName], usage: Usage, in_use: KekName) -> Iterator[str]:
    for name in names:
        kek = KekName(LISTED, name)
        if kek == in_use:
            continue
        if kek in wrapping:
            yield f"{name} still decrypts data keys; encrypt them with {in_use}: chandlery keys rotate"
        elif name in usage:
            yield f"{name} still decrypts {_told(usage, name)}; encrypt them anew: chandlery keys reseal"
        else:
            yield f"{name} is no longer used anywhere; remove it from {_SETTINGS} (older backups still need it)"


def _of_row(row: DataKeyRow, usage: Usage, in_use: str) -> tuple[str, ...]:
    state = "seals" if row.id == in_use else "closed" if row.closed_at else "open"
    encrypts = "keys of checksums and tokens" if row.purpose == ROOT else _told(usage, row.id)
    return (row.id, str(row.wrapped.kek), f"{row.created_at:%Y-%m-%d %H:%M}", "" if row.id == ROOT else state, encrypts)


def _told(usage: Usage, name: str) -> str:
    counts = usage.get(name, {})
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing"
