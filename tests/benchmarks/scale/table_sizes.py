"""How large tables and indexes are, and for how many rows."""

from dataclasses import dataclass

from tests.benchmarks.stands.databases import connected

_SIZES = """
    SELECT relname, greatest(reltuples, 0)::bigint AS rows, pg_table_size(oid) AS heap, pg_indexes_size(oid) AS indexes
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 3 DESC
"""


@dataclass(frozen=True)
class TableSize:
    """In bytes."""

    name: str
    rows: int
    heap: int
    indexes: int

    @property
    def each(self) -> float:
        """Bytes for one row, with its indexes."""
        return (self.heap + self.indexes) / max(1, self.rows)


async def table_sizes(url: str, *, rows: int = 0) -> list[TableSize]:
    """Those with so many rows, the largest first."""
    async with connected(url) as connection:
        found = await connection.fetch(_SIZES)
    return [TableSize(*row) for row in found if row["rows"] >= rows]
