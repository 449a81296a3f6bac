"""Many instances at once, copied within the database from one that was made in the usual way."""

from typing import Any, Final

import uvloop

from tests.benchmarks.stands.databases import connected

NAMESPACE: Final = "stored"
_OWN: Final = {
    "uid": "made.uid",
    "namespace": f"'{NAMESPACE}'",
    "name": "'stored-' || made.number",
    "external_id": "made.external_id",
    "spec": "replace(old.spec::text, old.external_id, made.external_id)::json",
}
_MADE: Final = """
    CREATE TEMPORARY TABLE made AS
    SELECT number, gen_random_uuid()::text AS uid, gen_random_uuid()::text AS external_id
    FROM generate_series($1::int, $2::int) AS number
"""


def fill_instances(database_url: str, template: str, *, first: int, count: int) -> None:
    """Copies of the instance of that name in `default`, at rest as it is, in a namespace of their own."""
    uvloop.run(_fill(database_url, template, first, count))


async def _fill(database_url: str, template: str, first: int, count: int) -> None:
    async with connected(database_url) as connection:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(_MADE.replace("$1", str(first)).replace("$2", str(first + count - 1)))
        which = f"old.namespace = 'default' AND old.name = '{template}'"
        uid = await connection.fetchval(f"SELECT uid FROM serviceinstances AS old WHERE {which}")
        await _copy(connection, "serviceinstances", which, _OWN)
        rest = f"old.uid = '{uid}'"
        await _copy(connection, "work_queue", rest, {"uid": "made.uid"})
        await _copy(connection, "external_ids", rest, {"uid": "made.uid", "external_id": "made.external_id"})
        await connection.execute("DROP TABLE made")
        await connection.execute("VACUUM ANALYZE")


async def _copy(connection: Any, table: str, which: str, own: dict[str, str]) -> None:
    question = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public'"
    columns = [row[0] for row in await connection.fetch(question, table)]
    values = ", ".join(own.get(column, f'old."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    copying = f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS old CROSS JOIN made WHERE {which}"
    await connection.execute(copying, timeout=1_800)
