"""Namespaces without a watch of their own are listed in turns: how fast, and what two looks at one have to do."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from chandlery.engine.following.secret_part import SecretPart
from chandlery.engine.following.secret_waker import SecretWaker
from chandlery.engine.following.secret_watch import turn_pause
from chandlery.platform.kubernetes.cluster_reflector import ListBegins, ListEnds, ListPage, News
from tests.support.clusters.scripted_lists import named


@pytest.mark.parametrize(
    ("number", "seconds"), [(0, 2.0), (1, 2.0), (450, 2.0), (1_800, 0.5), (9_000, 0.1), (20_000, 0.1)]
)
def test_turns_come_faster_the_more_namespaces_wait_for_theirs(number: int, seconds: float) -> None:
    assert turn_pause(2.0, number) == seconds


class Waker:
    """Notes who would be woken."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.told: list[str] = []

    async def tell(self, key: str, *, but: str | None = None) -> None:
        self.told.append(key)


class Waited:
    """The database, of which only the keys that are waited for are asked."""

    async def run(self, _work: Any) -> list[str]:
        return ["secret:ship/one"]


async def test_a_watch_that_begins_during_a_look_takes_nothing_from_it_for_missing() -> None:
    waker = Waker()
    part = SecretPart("ship", cast("SecretWaker", waker), cast("Any", Waited()))
    waker.versions["ship"] = "5"

    async def watch() -> AsyncIterator[News]:
        yield ListBegins()

    async def look() -> AsyncIterator[News]:
        yield ListBegins()
        yield ListPage([named("one")], "10")
        await part.learn(watch())
        yield ListEnds("10")

    await part.learn(look())
    assert waker.told == []


async def test_what_only_a_list_showed_that_was_given_up_is_missing_from_the_next() -> None:
    waker = Waker()
    part = SecretPart("ship", cast("SecretWaker", waker), cast("Any", Waited()))
    waker.versions["ship"] = "5"

    async def follow() -> AsyncIterator[News]:
        yield ListBegins()
        yield ListPage([named("one")], "10")
        yield ListBegins()
        yield ListPage([named("other")], "50")
        yield ListEnds("50")

    await part.learn(follow())
    assert waker.told == ["secret:ship/one"]
