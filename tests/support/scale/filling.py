"""Fills a database with as many instances, service brokers and changes as are asked for: copies of the samples.

Rows stream into PostgreSQL by `COPY`. All is a function of the number of an instance, so that who measures knows what
there is: its uid, name, namespace, service broker and labels (`Place`).
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.text.time_ordered_ids import time_ordered_id
from chandlery.store.database import Database
from chandlery.store.objects.changes import continue_numbers
from tests.support.scale.sample_rows import write_samples

_SECOND: Final = timedelta(seconds=1)
_BLOCK: Final = 2_000
"""Rows that are sent at a time."""
PER_NAMESPACE: Final = 1_000
PER_APP: Final = 100
_SPACING: Final = 65_536 // 4
"""Positions from one change to the next: four changes in a transaction."""
_SAMPLE: Final = "sample::text LIKE '%@%@%'"
_OF_BROKERS: Final = ("clusterservicebrokers", "clusterserviceclasses", "clusterserviceplans", "owner_links")
_OF_INSTANCES: Final = (
    *("serviceinstances", "work_queue", "external_ids", "interests"),
    *("operations", "events", "audit_events"),
)
_OF_INSTANCE: Final = "sample::text LIKE '%@uid@%'"

Values = dict[bytes, bytes]


@dataclass(frozen=True)
class Filling:
    """How much there is."""

    instances: int
    brokers: int
    changes: int
    changes_a_second: int = 400
    """By which the log goes back in time from now."""

    def place(self, number: int) -> "Place":
        """What is known of the instance of that number."""
        return Place(
            uid=_uid(number),
            namespace=f"space-{number // PER_NAMESPACE:04d}",
            name=f"db-{number:07d}",
            broker=f"broker-{number % self.brokers:04d}",
            external_id=_uid(-1 - number),
            app=f"app-{number * 7919 % max(1, self.instances // PER_APP)}",
            tier="web" if number % 2 else "data",
        )


@dataclass(frozen=True)
class Place:
    """One instance."""

    uid: str
    namespace: str
    name: str
    broker: str
    external_id: str
    app: str
    tier: str

    @property
    def lane(self) -> str:
        """Of the work queue."""
        return f"broker:/{self.broker}"

    def values(self) -> Values:
        """For the marks of a sample."""
        named = {"uid": self.uid, "space": self.namespace, "name": self.name, "broker": self.broker}
        named |= {"external": self.external_id, "app": self.app, "tier": self.tier}
        return {name.encode(): value.encode() for name, value in named.items()}


Samples = Mapping[str, Sequence[bytes]]
"""Rows of each table as `COPY` writes them, ready to be filled in."""


async def fill(database: Database, engine: AsyncEngine, filling: Filling) -> Samples:
    """Into tables that hold little else. Returns what has been copied, for whoever goes on with more."""
    await write_samples(database)
    begun = datetime.now(UTC)
    samples: dict[str, Sequence[bytes]] = {}
    async with engine.connect() as connection:
        plain: Any = (await connection.get_raw_connection()).driver_connection
        await plain.execute("SET synchronous_commit = off")
        for table in (*_OF_BROKERS, *_OF_INSTANCES, "changes"):
            samples[table] = await _taken_out(plain, table)
        for table in _OF_BROKERS:
            await copy_rows(plain, samples, table, range(filling.brokers), _of_broker)
        of_instance = values_of_instances(filling, begun - filling.instances / filling.changes_a_second * _SECOND)
        for table in _OF_INSTANCES:
            await copy_rows(plain, samples, table, range(filling.instances), of_instance)
        of_change = values_of_changes(filling, begun - filling.changes / filling.changes_a_second * _SECOND)
        await copy_rows(plain, samples, "changes", range(filling.changes), of_change)
        await plain.execute(f"VACUUM (ANALYZE) {', '.join(samples)}", timeout=1_800)
    async with engine.begin() as connection:
        await continue_numbers(connection)
    return samples


def position_of(number: int) -> int:
    """Of a change of the log."""
    return (number + 1) * _SPACING


def _of_broker(number: int) -> Values:
    at = datetime.now(UTC).isoformat().encode()
    known = {b"broker": f"broker-{number:04d}".encode(), b"external": _uid(number).encode(), b"at": at}
    return known | dict.fromkeys((b"position", b"previous"), b"%d" % position_of(number))


def values_of_instances(filling: Filling, begun: datetime) -> Callable[[int], Values]:
    """What is filled in for an instance of that number, and what there is once of each."""

    def values(number: int) -> Values:
        at = begun + number / filling.changes_a_second * _SECOND
        name = time_ordered_id(int(at.timestamp() * 1_000_000_000))
        position = position_of(min(number * filling.changes // filling.instances, filling.changes - 1))
        more = {b"event": name.encode(), b"at": at.isoformat().encode()}
        more |= dict.fromkeys((b"position", b"previous"), b"%d" % position)
        return filling.place(number).values() | more

    return values


def values_of_changes(filling: Filling, begun: datetime) -> Callable[[int], Values]:
    """What is filled in for a change of that number."""

    def values(number: int) -> Values:
        at = begun + number / filling.changes_a_second * _SECOND
        known = filling.place(number * filling.instances // filling.changes).values()
        return known | {
            b"position": b"%d" % position_of(number),
            b"previous": b"%d" % position_of(number - 1),
            b"at": at.isoformat().encode(),
            b"event": b"e",
        }

    return values


async def copy_rows(
    plain: asyncpg.Connection, samples: Samples, table: str, numbers: range, values: Callable[[int], Values]
) -> None:
    """Copies of the samples of a table, one of each for each number; of changes, one after the other."""
    lines = samples[table]

    async def rows() -> AsyncIterator[bytes]:
        for start in range(0, len(numbers), _BLOCK):
            yield b"".join(_rows(lines, numbers[start : start + _BLOCK], values, is_every=table != "changes"))

    await plain.copy_to_table(table, source=rows(), timeout=1_800)


def _rows(
    lines: Sequence[bytes], numbers: range, values: Callable[[int], Values], *, is_every: bool
) -> Iterator[bytes]:
    for number in numbers:
        known = values(number)
        for line in lines if is_every else [lines[number % len(lines)]]:
            yield line % known


async def _taken_out(plain: asyncpg.Connection, table: str) -> list[bytes]:
    found = bytearray()

    async def keep(some: bytes) -> None:
        found.extend(some)

    which = _OF_INSTANCE if table == "changes" else _SAMPLE
    await plain.copy_from_query(f"SELECT * FROM {table} AS sample WHERE {which}", output=keep)
    await plain.execute(f"DELETE FROM {table} AS sample WHERE {_SAMPLE}")
    return [_prepared(line) for line in bytes(found).splitlines(keepends=True)]


_OWN: Final = re.compile(rb"@(\w+)@")
_POSITIONS: Final = re.compile(rb"(?<![\w-])\d{7,}(?![\w-])")
_MOMENT: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00")


def _prepared(line: bytes) -> bytes:
    line = _OWN.sub(rb"%(\1)b", line.replace(b"%", b"%%"))
    line = _MOMENT.sub(b"%(at)b", _POSITIONS.sub(b"%(position)b", line))
    # What stands last in a row of the change log is the position of the change before.
    return re.sub(rb"%\(position\)b\n$", b"%(previous)b\n", line)


def _uid(number: int) -> str:
    digits = hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
