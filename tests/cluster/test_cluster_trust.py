"""A real cluster and the gateway trust each other: front proxy, certificates, tokens, rights, and all of it rotated."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from chandlery.process.commands.doctor.check import State
from tests.cluster.stage.real_cluster import RealCluster
from tests.cluster.stage.trusting_gateway import SECRET, TrustingGateway, serving
from tests.support.waiting import eventually


@pytest.fixture
async def gateway(cluster: RealCluster) -> AsyncIterator[TrustingGateway]:
    """One that makes its certificate by itself, and that the aggregator leads to."""
    made = TrustingGateway(cluster, cluster.new_namespace("home"))
    made.install()
    async with serving(made):
        made.register()
        try:
            await eventually(made.through, lambda told: "user" in told, what="the aggregator to lead there")
            yield made
        finally:
            made.unregister()


async def test_aggregator_knows_the_gateway_by_a_certificate_that_it_has_made_itself(gateway: TrustingGateway) -> None:
    assert gateway.bundle == gateway.stored()["ca.crt"]
    told = await gateway.through()
    assert (told["user"]["username"], told["allowed"]) == ("admin", True)
    assert set(told["user"]["groups"]) == {"system:masters", "system:authenticated"}


async def test_users_are_who_the_cluster_says_with_groups_and_extra(gateway: TrustingGateway, namespace: str) -> None:
    cluster = gateway.cluster
    account = cluster.service_account(namespace, "robot")
    name = f"system:serviceaccount:{namespace}:robot"
    gateway.let_list(name)
    told = await eventually(lambda: gateway.through(account), lambda told: "user" in told, what="the right to count")
    passed_on = told["user"]
    assert passed_on["username"] == name
    assert f"system:serviceaccounts:{namespace}" in passed_on["groups"]
    direct = await gateway.direct({"Authorization": f"Bearer {cluster.token(namespace, 'robot')}"})
    assert direct["allowed"]
    assert direct["user"]["username"] == name
    assert set(direct["user"]["groups"]) == set(passed_on["groups"])


async def test_refusal_is_the_one_of_kube_apiserver(gateway: TrustingGateway) -> None:
    gateway.cluster.user("jane", "devs")
    shown = gateway.cluster.plane.clients.issue("direct-jane", "jane", groups=["devs"])
    direct = await gateway.direct(shown=shown)
    passed_on = await gateway.through(gateway.cluster.user("jane", "devs"))
    assert (direct["user"]["username"], direct["allowed"]) == ("jane", False)
    assert passed_on["message"] == f"operations.history.chandlery.io is forbidden: {direct['message']}"


async def test_right_counts_as_soon_as_it_is_given(gateway: TrustingGateway) -> None:
    shown = gateway.cluster.plane.clients.issue("direct-kim", "kim", groups=["devs"])
    assert not (await gateway.direct(shown=shown))["allowed"]
    gateway.let_list("kim")
    await eventually(lambda: gateway.direct(shown=shown), lambda told: told["allowed"], what="the right to count")


FORGED = {"X-Remote-User": "root", "X-Remote-Group": "system:masters"}


async def test_headers_without_the_front_proxys_certificate_are_nothing(gateway: TrustingGateway) -> None:
    plane = gateway.cluster.plane
    assert await gateway.direct(FORGED) == {"refused": None, "shown": False}
    for name in ("ann", "front-proxy-client"):
        shown = plane.clients.issue(f"forger-{name}", name)
        assert (await gateway.direct(FORGED, shown=shown))["user"]["username"] == name
    other = plane.front_proxy.issue("other-proxy", "another-client")
    told = await gateway.direct(FORGED, shown=other)
    assert told == {"refused": "client certificate not accepted", "shown": True}
    real = plane.front_proxy.issue("same-proxy", "front-proxy-client")
    assert (await gateway.direct(FORGED, shown=real))["user"]["username"] == "root"


async def test_headers_that_a_user_sends_through_the_aggregator_are_nothing(gateway: TrustingGateway) -> None:
    headers = {**FORGED, "X-Remote-Extra-Scopes": "all", "X_Remote_User": "root"}
    told = await gateway.through(headers=headers)
    assert told["user"]["username"] == "admin"
    assert "scopes" not in told["user"].get("extra", {})


async def test_way_of_a_request_ends_with_what_the_front_proxy_has_seen(gateway: TrustingGateway) -> None:
    assert (await gateway.through())["forwarded"] == ["127.0.0.1"]
    told = await gateway.through(headers={"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.2"})
    assert told["forwarded"] == ["192.0.2.1", "127.0.0.1"]


async def test_trailers_that_a_user_sends_through_the_aggregator_are_nothing(gateway: TrustingGateway) -> None:
    told = await gateway.through_with_trailers({"X-Remote-Group": "system:masters", "X-Remote-Extra-Scopes": "all"})
    assert told["user"]["username"] == "lou"
    assert told["user"]["groups"] == ["system:authenticated"]
    assert not told["user"].get("extra")


async def test_token_that_is_none_of_the_clusters_is_refused(gateway: TrustingGateway, namespace: str) -> None:
    gateway.cluster.service_account(namespace, "robot")
    elsewhere = gateway.cluster.token(namespace, "robot", audiences=("elsewhere",))
    for token in ("made-up", elsewhere):
        told = await gateway.direct({"Authorization": f"Bearer {token}"})
        assert told == {"refused": "unknown token", "shown": False}


@pytest.mark.parametrize("trust_old", [True, False])
async def test_front_proxy_with_another_authority_is_followed_without_a_restart(
    gateway: TrustingGateway, trust_old: bool
) -> None:
    gateway.cluster.rotate_front_proxy(trust_old=trust_old)
    told = await eventually(gateway.through, lambda told: "user" in told, what="the new front proxy")
    assert told["user"]["username"] == "admin"


async def test_users_with_another_authority_are_followed_without_a_restart(gateway: TrustingGateway) -> None:
    plane = gateway.cluster.plane
    before = plane.clients.issue("before", "ann")
    assert (await gateway.direct(shown=before))["user"]["username"] == "ann"
    gateway.cluster.rotate_clients()
    after = plane.clients.issue("after", "ann")
    await eventually(lambda: _name(gateway, after), lambda name: name == "ann", what="the new authority")


async def _name(gateway: TrustingGateway, shown: object) -> object:
    try:
        told = await gateway.direct(shown=shown)  # type: ignore[arg-type]
    except (OSError, aiohttp.ClientError):
        return None
    return told.get("user", {}).get("username")


async def test_certificate_that_was_taken_away_is_made_anew_and_believed(gateway: TrustingGateway) -> None:
    before = gateway.stored()["ca.crt"]
    gateway.cluster.api().send("DELETE", f"/api/v1/namespaces/{gateway.home}/secrets/{SECRET}")
    await eventually(lambda: gateway.stored().get("ca.crt"), lambda bundle: bundle not in (None, before))
    await eventually(gateway.through, lambda told: "user" in told, what="the new certificate")
    assert gateway.bundle == gateway.stored()["ca.crt"]


async def test_cluster_that_is_away_lets_nobody_in_and_is_waited_for(gateway: TrustingGateway) -> None:
    shown = gateway.cluster.plane.clients.issue("direct-lea", "lea")
    token = "Bearer made-up"
    bundle = gateway.stored()["ca.crt"]
    gateway.stored = lambda: {"ca.crt": bundle}  # type: ignore[method-assign]
    gateway.cluster.kill_apiserver()
    try:
        assert (await gateway.direct(shown=shown))["fault"] == "Unavailable"
        assert (await gateway.direct({"Authorization": token}))["fault"] == "Unavailable"
    finally:
        gateway.cluster.start_apiserver()
    told = await eventually(lambda: gateway.direct(shown=shown), lambda told: "user" in told)
    assert told["user"]["username"] == "lea"


async def test_doctor_finds_nothing_to_mend_and_says_which_right_is_missing(
    gateway: TrustingGateway, cluster: RealCluster
) -> None:
    bare = TrustingGateway(cluster, cluster.new_namespace("bare"))
    try:
        found = await gateway.diagnosed()
        assert {name: result.state for name, result in found.items()} == {"trust": State.OK, "certificate": State.OK}
        missing = await bare.diagnosed()
        assert missing["trust"].state is missing["certificate"].state is State.FAIL
        assert "extension-apiserver-authentication-reader" in missing["trust"].remedy
        assert "system:auth-delegator" in missing["trust"].remedy
    finally:
        await bare.client.close()
