"""The plans by which PostgreSQL has carried out what was asked of it, with the rows and buffers that each took.

The server's own `auto_explain` tells them of every statement as it runs, prepared and with its parameters, so nothing
has to be asked twice. Needs a superuser.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

_SETTINGS: Final = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_format = json",
    "SET client_min_messages = log",
)
_OF_DRIVER: Final = "typeinfo_tree"
"""In what asyncpg asks of the catalog, once for a connection."""
_READS_ALL: Final = frozenset({"Seq Scan", "Parallel Seq Scan"})


@dataclass(frozen=True)
class Node:
    """A step of a plan."""

    what: str
    """Such as `Index Scan using ix_x on x`."""
    relation: str
    rows_touched: int
    """Rows that it has given on or dropped, in all its loops."""
    depth: int
    told: str


@dataclass(frozen=True)
class Plan:
    """How one statement was carried out."""

    statement: str
    milliseconds: float
    nodes: tuple[Node, ...]

    @property
    def text(self) -> str:
        """As people read it."""
        return "\n".join(f"{'  ' * node.depth}{node.what} {node.told}" for node in self.nodes)

    def sequential_scans(self, of: set[str]) -> list[str]:
        """Steps that read one of these tables from end to end."""
        return [node.what for node in self.nodes if node.relation in of and node.what.startswith(tuple(_READS_ALL))]

    @property
    def rows_touched(self) -> int:
        """By the step that touched most."""
        return max((node.rows_touched for node in self.nodes), default=0)


@dataclass
class PlanRecorder:
    """Collects the plans of an engine whose connections it has prepared; made before the first of them."""

    engine: AsyncEngine
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        event.listen(self.engine.sync_engine, "connect", self._prepare)

    def taken(self) -> list[Plan]:
        """What there is since the last time that somebody asked."""
        taken, self.plans = self.plans, []
        return taken

    def _prepare(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for setting in _SETTINGS:
            cursor.execute(setting)
        cursor.close()
        connection.commit()
        connection.driver_connection.add_log_listener(self._note)

    def _note(self, _connection: Any, message: Any) -> None:
        head, _, told = message.message.partition("plan:\n")
        if told and _OF_DRIVER not in told:
            found = json.loads(told)
            milliseconds = float(head.split()[1])
            self.plans.append(Plan(found["Query Text"], milliseconds, tuple(_nodes(found["Plan"], 0))))


def _nodes(found: dict[str, Any], depth: int) -> Iterator[Node]:
    loops, rows = found.get("Actual Loops", 1), found.get("Actual Rows", 0)
    dropped = found.get("Rows Removed by Filter", 0) + found.get("Rows Removed by Index Recheck", 0)
    relation, index = found.get("Relation Name", ""), found.get("Index Name", "")
    using, on = f" using {index}" if index else "", f" on {relation}" if relation else ""
    hit, read = found.get("Shared Hit Blocks", 0), found.get("Shared Read Blocks", 0)
    left_out = f", dropped {dropped * loops:,}" if dropped else ""
    told = f"(rows {rows * loops:,}{left_out}, buffers {hit + read:,})"
    yield Node(f"{found['Node Type']}{using}{on}", relation, int((rows + dropped) * loops), depth, told)
    for child in found.get("Plans", ()):
        yield from _nodes(child, depth + 1)


async def large_tables(engine: AsyncEngine, *, rows: int) -> set[str]:
    """Names of tables with at least so many rows, as PostgreSQL estimates."""
    query = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= :rows")
    async with engine.connect() as connection:
        return set((await connection.execute(query, {"rows": rows})).scalars())
