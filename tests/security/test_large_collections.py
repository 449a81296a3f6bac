"""Nobody waits while somebody deletes a whole collection, as a cluster's namespace controller does."""

import asyncio
from typing import Final

import pytest

from tests.integration.gateway.api_client import TEAM, Api, instance

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES: Final = f"{TEAM}/serviceinstances"
MANY: Final = 400
AT_ONCE: Final = 20


async def test_deleting_a_large_collection_holds_nobody_up(api: Api) -> None:
    for begin in range(0, MANY, AT_ONCE):
        numbers = range(begin, begin + AT_ONCE)
        await asyncio.gather(*(api.made(INSTANCES, instance(f"db-{number}")) for number in numbers))
    answer = await api.delete(INSTANCES)
    assert (answer.status, len(answer.document["items"])) == (200, MANY)
    left = (await api.read(INSTANCES))["items"]
    assert all("deletionTimestamp" in each["metadata"] for each in left)
    assert len(left) == MANY
