"""Keys that are waited for or followed, page by page, and the namespaces in them."""

from collections.abc import Sequence

from chandlery.store.database import Database
from chandlery.store.work.work_claims import Release
from tests.integration.store.work.work import LANE, add, claim_surely

PREFIX = "secret:"


async def test_keys_come_in_pages_and_namespaces_once(database: Database) -> None:
    await waits(database, "one", "secret:ship/rope", "secret:dock/knot", "broker:/x")
    await waits(database, "two", "secret:ship/rope", "secret:a-b/c")
    await waits(database, "three", "class/ship")
    await waits(database, "four", None)
    seen, after = list[str](), ""
    while found := await page(database, after):
        assert len(found) <= 2
        seen += found
        after = found[-1]
    assert sorted(seen) == ["secret:a-b/c", "secret:dock/knot", "secret:ship/rope"]
    assert sorted(await page(database, "", prefix="secret:ship/")) == ["secret:ship/rope"]
    found = await database.run(lambda unit: unit.inspection.waited_keys.namespaces(PREFIX, limit=10))
    assert sorted(found) == ["a-b", "dock", "ship"]
    assert len(await database.run(lambda unit: unit.inspection.waited_keys.namespaces(PREFIX, limit=2))) == 2


async def page(database: Database, after: str, *, prefix: str = PREFIX) -> Sequence[str]:
    return await database.run(lambda unit: unit.inspection.waited_keys.page(prefix, after=after, limit=2))


async def waits(database: Database, uid: str, key: str | None, *interests: str) -> None:
    await add(database, uid)
    held = await claim_surely(database, uid)
    left = Release(due_at=None, lane=LANE, waiting_for=key, interests=interests, memory={})
    await database.run(lambda unit: unit.work_queue.release(held, left))
