"""Whether a watch may go on while it cannot be asked whose credentials those are."""

import pytest

from chandlery.model.faults import Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET
from chandlery_gateway.identity.authorization import access_to
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
