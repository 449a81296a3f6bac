"""The cluster's word on whom to trust: waited for at the start, followed, and never given up for what is unreadable."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault, Forbidden, Unavailable
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.identity.kubernetes import followed_object
from chandlery_gateway.identity.kubernetes.followed_trust import FollowedTrust
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig
from tests.support.client_authority import Authority
from tests.support.clusters.scripted_cluster import ScriptedCluster
from tests.support.waiting import eventually

PATH = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
FIRST, SECOND = Authority("first"), Authority("second")


def data_of(authority: Authority, users: str = '["X-Remote-User"]') -> dict[str, str]:
    return {
        "requestheader-client-ca-file": authority.pem,
        "requestheader-allowed-names": "[]",
        "requestheader-username-headers": users,
    }


class Stage:
    """A cluster, and what is told of it."""

    def __init__(self) -> None:
        self.cluster = ScriptedCluster()
        self.told: list[TrustConfig] = []
        self.trust = FollowedTrust(self.cluster, changed=self.told.append)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def following(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """One that follows a ConfigMap with the first authority."""
    monkeypatch.setattr(followed_object, "_FIRST_PAUSE", 0.0)
    stage.cluster.put(PATH, data=data_of(FIRST))
    await stage.trust.begin()
    task = asyncio.create_task(stage.trust.follow())
    await stage.cluster.has_watchers.wait()
    yield stage
    task.cancel()


async def test_nobody_is_known_before_it_is_read(stage: Stage) -> None:
    with pytest.raises(Unavailable, match="has not been read yet"):
        stage.trust.config  # noqa: B018 - it raises


async def test_missing_right_is_told_once_with_the_command_and_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.cluster.fault = Forbidden("configmaps is forbidden")
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            stage.cluster.fault = None
        if len(waited) == 4:
            stage.cluster.put(PATH, data=data_of(FIRST))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with capture_logs() as logs:
        await stage.trust.begin()
    assert waited == [1, 2, 4, 8]
    errors = [line["event"] for line in logs if line["log_level"] == "error"]
    assert len(errors) == 2
    assert "--role=extension-apiserver-authentication-reader" in errors[0]
    assert "does not exist; kube-apiserver makes it" in errors[1]


async def test_change_counts_as_soon_as_the_cluster_tells_of_it(following: Stage) -> None:
    following.cluster.put(PATH, data=data_of(SECOND))
    await eventually(lambda: following.trust.config.authorities, lambda pem: pem == SECOND.pem)
    assert [config.authorities for config in following.told] == [FIRST.pem, SECOND.pem]


async def test_what_cannot_be_read_leaves_the_last_one_in_use_and_is_told(following: Stage) -> None:
    with capture_logs() as logs:
        following.cluster.put(PATH, data=data_of(SECOND, users="no JSON"))
        await eventually(lambda: logs)
    assert "requestheader-username-headers" in logs[0]["event"]
    assert "what was read before counts" in logs[0]["event"]
    assert following.trust.config.authorities == FIRST.pem
    following.cluster.remove(PATH)
    following.cluster.put(PATH, data=data_of(SECOND))
    await eventually(lambda: following.trust.config.authorities, lambda pem: pem == SECOND.pem)


@pytest.mark.parametrize("left", [(), ("requestheader-client-ca-file", "requestheader-username-headers")])
async def test_what_is_emptied_or_written_by_half_takes_nobody_away_and_lets_nobody_in(
    following: Stage, left: tuple[str, ...]
) -> None:
    data = data_of(SECOND)
    with capture_logs() as logs:
        following.cluster.put(PATH, data={key: data[key] for key in left})
        await eventually(lambda: logs)
    assert "what was read before counts" in logs[0]["event"]
    assert following.trust.config.authorities == FIRST.pem


async def test_right_to_read_and_none_to_watch_is_told_once_and_asked_for_ever_more_rarely(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 8:
            raise asyncio.CancelledError

    async def watch(_path: str, /, **_query: str) -> AsyncIterator[tuple[str, JsonObject]]:
        raise Forbidden("configmaps is forbidden: cannot watch")
        yield "", {}

    stage.cluster.put(PATH, data=data_of(FIRST))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 1.0)
    monkeypatch.setattr(stage.cluster, "watch", watch)
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await stage.trust.follow()
    assert waited == [2, 4, 8, 16, 30, 30, 30, 30]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        line["event"] for line in logs if "cannot watch" in line["event"]
    ][:1]
    assert stage.trust.config.authorities == FIRST.pem


async def test_what_a_listener_cannot_use_does_not_count() -> None:
    cluster = ScriptedCluster()
    cluster.put(PATH, data=data_of(FIRST))

    def refuse(_config: TrustConfig) -> None:
        raise ConfigurationFault("cannot be used")

    trust = FollowedTrust(cluster, changed=refuse)
    with capture_logs() as logs, pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await trust.begin()
    assert "cannot be used" in logs[0]["event"]
