"""Whether a watch may go on while it cannot be asked whose credentials those are, or what its user may do."""

import time

import pytest

from chandlery.model.faults import Fault, Forbidden, Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET
from chandlery_gateway.identity.authorization import Access, Reach, access_to
from chandlery_gateway.watch import watch_rights
from chandlery_gateway.watch.watch_rights import WatchRights
from tests.support.allow_everything import AllowEverything


async def test_nothing_is_told_while_it_cannot_be_asked_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def away() -> None:
        nonlocal asked
        asked += 1
        raise Unavailable("the database is away")

    watching = access_to(SECRET, "watch", user=UserInfo(username="ann"), namespace="", name="")
    rights = WatchRights(AllowEverything(), watching=watching, getting=watching, check_known=away)
    await rights.begin()
    await rights.check()
    assert asked == 0
    monkeypatch.setattr(watch_rights, "_KNOWN_SECONDS", 0.0)
    await rights.check(tells=False)
    with pytest.raises(Unavailable):
        await rights.check()
    assert asked == 2


class Asked(AllowEverything):
    """May be away; every question is one that has not been asked before."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.asked = 0

    @property
    def revision(self) -> int:  # type: ignore[override]
        return int(time.monotonic())

    async def reach(self, access: Access) -> Reach:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return await super().reach(access)


class Watching:
    """A watch of Secrets at a time of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.authorizer = 1000.0, Asked()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        watching = access_to(SECRET, "watch", user=UserInfo(username="ann"), namespace="", name="")
        self.rights = WatchRights(self.authorizer, watching=watching, getting=watching, check_known=self._known)

    async def _known(self) -> None:
        """Yes."""


async def test_watch_with_nothing_to_tell_stays_for_a_while_when_nobody_can_say_what_its_user_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watching(monkeypatch)
    await watch.rights.begin()
    watch.authorizer.fault = Unavailable("the cluster is away")
    for _ in range(100):
        watch.now += 1
        await watch.rights.check(tells=False)
        assert not watch.rights.is_sure
    assert watch.authorizer.asked <= 25, "it is not asked each time"
    watch.now += 30
    with pytest.raises(Unavailable):
        await watch.rights.check(tells=False)


async def test_watch_tells_nothing_while_nobody_can_say_what_its_user_may_and_goes_on_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watching(monkeypatch)
    await watch.rights.begin()
    watch.authorizer.fault = Unavailable("the cluster is away")
    watch.now += 1
    await watch.rights.check(tells=False)
    with pytest.raises(Unavailable):
        await watch.rights.check()
    watch.authorizer.fault = None
    await watch.rights.check()
    assert watch.rights.is_sure
    watch.authorizer.fault = Unavailable("the cluster is away")
    watch.now += 100
    await watch.rights.check(tells=False)


async def test_watch_of_a_user_who_may_no_more_ends_with_nothing_to_tell_too(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watching(monkeypatch)
    await watch.rights.begin()
    watch.now += 1
    watch.authorizer.fault = Unavailable("the cluster is away")
    await watch.rights.check(tells=False)
    watch.authorizer.fault = Forbidden("no more")
    watch.now += 10
    with pytest.raises(Forbidden):
        await watch.rights.check(tells=False)
