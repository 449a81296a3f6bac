"""Tokens and rights that the cluster is asked about: once for all who want to know, and again after a while."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from chandlery.model.faults import Fault, Forbidden, Invalid, Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import JsonObject
from chandlery.telemetry.catalog.api_requests import CLUSTER_REVIEWS
from chandlery.telemetry.metric import Counter as Metric
from chandlery.telemetry.metrics import NullMetrics
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authorization import EVERYTHING, Access, Reach
from chandlery_gateway.identity.kubernetes import remembered_answers
from chandlery_gateway.identity.kubernetes.review_authorizer import ReviewAuthorizer
from chandlery_gateway.identity.kubernetes.token_reviews import ReviewedTokens
from tests.support.clusters.scripted_cluster import ScriptedCluster
from tests.support.waiting import eventually

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ANN = UserInfo(username="ann", uid="7", groups=("dev",), extra={"scopes": ("a", "b")})


class Clock:
    """The time that answers count by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def cluster_that(allows: Any = lambda _spec: True, users: Any = None) -> ScriptedCluster:
    cluster = ScriptedCluster()

    def tokens(review: JsonObject) -> JsonObject:
        user = (users or {}).get(review["spec"]["token"])
        return {"status": {"authenticated": user is not None, "user": user or {}}}

    cluster.answers[TOKENS] = tokens
    cluster.answers[ACCESS] = lambda review: {"status": {"allowed": allows(review["spec"]), "reason": "RBAC says so"}}
    return cluster


def listing(name: str = "", verb: str = "list") -> Access:
    return Access(user=ANN, verb=verb, group="g", version="v1", resource="things", namespace="team", name=name)


async def test_user_of_a_token_is_who_the_cluster_says() -> None:
    told = {"username": "ann", "uid": "7", "groups": ["dev"], "extra": {"scopes": ["a", "b"]}}
    cluster = cluster_that(users={"good": told})
    assert await ReviewedTokens(cluster, seconds=10).verify("good") == ANN
    assert cluster.asked[0][1]["spec"] == {"token": "good"}


async def test_token_is_asked_for_once_while_its_answer_counts(clock: Clock) -> None:
    cluster = cluster_that(users={"good": {"username": "ann"}})
    tokens = ReviewedTokens(cluster, seconds=10)
    for seconds, asked in ((0, 1), (9.9, 1), (0.1, 2)):
        clock.now += seconds
        await tokens.verify("good")
        assert len(cluster.asked) == asked


async def test_token_that_was_refused_is_asked_for_again_sooner(clock: Clock) -> None:
    cluster = cluster_that()
    tokens = ReviewedTokens(cluster, seconds=10)
    for seconds, asked in ((0, 1), (1.9, 1), (0.2, 2)):
        clock.now += seconds
        with pytest.raises(LoginRefused):
            await tokens.verify("new")
        assert len(cluster.asked) == asked


async def test_crowd_with_one_token_asks_once_and_who_gives_up_takes_nothing_from_others() -> None:
    cluster = cluster_that(users={"good": {"username": "ann"}})
    cluster.hold = asyncio.Event()
    tokens = ReviewedTokens(cluster, seconds=10)
    crowd = [asyncio.create_task(tokens.verify("good")) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    crowd[0].cancel()
    cluster.hold.set()
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert len(cluster.asked) == 1
    assert sum(isinstance(each, UserInfo) for each in found) == 19


async def test_token_that_is_too_long_is_asked_of_nobody() -> None:
    cluster = cluster_that()
    with pytest.raises(LoginRefused) as refused:
        await ReviewedTokens(cluster, seconds=10).verify("a" * 20_000)
    assert refused.value.reason is LoginFailure.TOO_LONG
    assert not cluster.asked


async def test_review_says_who_wants_to_do_what() -> None:
    cluster = cluster_that()
    decision = await ReviewAuthorizer(cluster, seconds=10).decide(listing("one", verb="adopt"))
    assert decision.allowed and decision.reason == "RBAC says so"
    assert cluster.asked[0][1]["spec"] == {
        "user": "ann",
        "uid": "7",
        "groups": ["dev"],
        "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {
            "namespace": "team",
            "verb": "adopt",
            "group": "g",
            "version": "v1",
            "resource": "things",
            "name": "one",
        },
    }


async def test_path_that_is_no_resource_is_asked_for_as_such() -> None:
    cluster = cluster_that(allows=lambda _: False)
    authorizer = ReviewAuthorizer(cluster, seconds=10)
    assert not (await authorizer.decide(Access(user=ANN, verb="get", path="/openapi/v2"))).allowed
    assert cluster.asked[0][1]["spec"]["nonResourceAttributes"] == {"path": "/openapi/v2", "verb": "get"}
    assert (await authorizer.decide(Access(user=ANN, verb="get", path="/readyz/database"))).allowed
    assert not (await authorizer.decide(Access(user=ANN, verb="post", path="/readyz"))).allowed
    assert not (await authorizer.decide(Access(user=ANN, verb="get", path="/readyzz"))).allowed


@pytest.mark.parametrize("allowed", [True, False])
async def test_answer_counts_for_a_while_whatever_it_is(clock: Clock, allowed: bool) -> None:
    cluster = cluster_that(allows=lambda _: allowed)
    authorizer = ReviewAuthorizer(cluster, seconds=10)
    for seconds, asked in ((0, 1), (9.9, 1), (0.1, 2)):
        clock.now += seconds
        assert (await authorizer.decide(listing())).allowed is allowed
        assert len(cluster.asked) == asked


async def test_answer_about_one_user_is_none_about_another() -> None:
    cluster = cluster_that(allows=lambda spec: spec["user"] == "ann" and spec.get("groups") == ["dev"])
    authorizer = ReviewAuthorizer(cluster, seconds=10)
    others = [
        ANN.model_copy(update=change)
        for change in ({"username": "bob"}, {"groups": ("dev", "ops")}, {"groups": None}, {"username": "Ann"})
    ]
    assert (await authorizer.decide(listing())).allowed
    for other in others:
        access = Access(user=other, verb="list", group="g", version="v1", resource="things", namespace="team")
        assert not (await authorizer.decide(access)).allowed
    assert len(cluster.asked) == 5


async def test_denial_wins_over_leave() -> None:
    cluster = cluster_that()
    cluster.answers[ACCESS] = lambda _: {"status": {"allowed": True, "denied": True}}
    assert not (await ReviewAuthorizer(cluster, seconds=10).decide(listing())).allowed


@pytest.mark.parametrize("status", [{}, {"allowed": "true"}, {"allowed": 1}, None])
async def test_what_is_no_answer_allows_nothing(status: Any) -> None:
    cluster = cluster_that()
    cluster.answers[ACCESS] = lambda _: {"status": status}
    assert not (await ReviewAuthorizer(cluster, seconds=10).decide(listing())).allowed


@pytest.mark.parametrize("fault", [Unavailable("away"), Forbidden("may not"), Invalid("bad"), Fault("odd")])
async def test_cluster_that_does_not_answer_allows_nothing_and_nothing_old_is_used(clock: Clock, fault: Fault) -> None:
    cluster = cluster_that(users={"good": {"username": "ann"}})
    authorizer, tokens = ReviewAuthorizer(cluster, seconds=10), ReviewedTokens(cluster, seconds=10)
    await authorizer.decide(listing())
    await tokens.verify("good")
    cluster.fault = fault
    assert (await authorizer.decide(listing())).allowed
    clock.now += 10
    for asked in (authorizer.decide(listing()), tokens.verify("good")):
        with pytest.raises(Unavailable):
            await asked
    cluster.fault = None
    assert (await authorizer.decide(listing())).allowed


async def test_missing_right_of_ours_is_told_with_the_command_and_not_to_the_user() -> None:
    cluster = cluster_that()
    cluster.fault = Forbidden('User "system:serviceaccount:a:b" cannot create resource "subjectaccessreviews"')
    with capture_logs() as logs, pytest.raises(Unavailable) as refused:
        await ReviewAuthorizer(cluster, seconds=10).decide(listing())
    assert "kubectl create clusterrolebinding" in logs[0]["event"]
    assert "serviceaccount" not in refused.value.message


async def test_whoever_may_watch_reaches_everything_and_else_what_is_named() -> None:
    authorizer = ReviewAuthorizer(cluster_that(), seconds=10)
    assert await authorizer.reach(listing(verb="watch")) == EVERYTHING
    named = ReviewAuthorizer(
        cluster_that(allows=lambda spec: spec["resourceAttributes"].get("name") == "one"), seconds=10
    )
    assert await named.reach(listing("one", verb="watch")) == Reach(
        everywhere=frozenset(), within={"team": frozenset({"one"})}
    )
    assert not (await named.reach(listing("two", verb="watch"))).has("team", "two")
    assert not (await named.reach(listing(verb="watch"))).is_everything


async def test_lists_are_not_thinned_out_by_what_may_be_got_one_by_one() -> None:
    """The cluster's quota and garbage collectors may list and watch, and nothing else."""
    cluster = cluster_that(allows=lambda _: False)
    assert await ReviewAuthorizer(cluster, seconds=10).reach(listing(verb="get")) == EVERYTHING
    assert not cluster.asked


async def test_watches_ask_again_so_often_that_no_right_counts_longer_than_it_may(clock: Clock) -> None:
    allowed = True
    cluster = cluster_that(allows=lambda _: allowed)
    authorizer = ReviewAuthorizer(cluster, seconds=10)
    revision = authorizer.revision
    assert await authorizer.reach(listing(verb="watch")) == EVERYTHING
    allowed = False
    clock.now += 5
    assert authorizer.revision != revision
    assert not (await authorizer.reach(listing(verb="watch"))).is_everything


async def test_answers_that_are_kept_are_bounded() -> None:
    answers: remembered_answers.RememberedAnswers[int] = remembered_answers.RememberedAnswers(at_once=1, most=3)

    async def answer() -> int:
        return 1

    for number in range(10):
        await answers.get(bytes([number]), answer, seconds=lambda _: 60)
    assert len(answers) == 3


async def test_nothing_is_kept_where_answers_count_for_no_time() -> None:
    cluster = cluster_that()
    authorizer = ReviewAuthorizer(cluster, seconds=0)
    await authorizer.decide(listing())
    await authorizer.decide(listing())
    assert len(cluster.asked) == 2


async def test_questions_that_wait_for_their_turn_are_bounded() -> None:
    """Whoever sends made-up tokens and goes away fills no memory, and keeps no access review waiting."""
    cluster = cluster_that()
    cluster.hold = asyncio.Event()
    tokens, authorizer = ReviewedTokens(cluster, seconds=10), ReviewAuthorizer(cluster, seconds=10)
    crowd = [asyncio.create_task(tokens.verify(f"made-up-{number}")) for number in range(1_500)]
    asked = asyncio.create_task(authorizer.decide(listing()))
    await eventually(lambda: len(cluster.asked), lambda count: count == 9)
    assert Counter(path for path, _ in cluster.asked) == {TOKENS: 8, ACCESS: 1}
    cluster.hold.set()
    outcomes = await asyncio.gather(*crowd, return_exceptions=True)
    assert sum(isinstance(each, Unavailable) for each in outcomes) == 500
    assert sum(isinstance(each, LoginRefused) for each in outcomes) == 1_000
    assert (await asked).allowed


async def test_reason_of_another_authorizer_is_kept_within_bounds() -> None:
    cluster = cluster_that()
    cluster.answers[ACCESS] = lambda _: {"status": {"allowed": False, "reason": "no" * 10_000}}
    assert len((await ReviewAuthorizer(cluster, seconds=10).decide(listing())).reason) == 1_000


async def test_reviews_are_counted_by_what_came_of_them(clock: Clock) -> None:
    counts: Counter[tuple[str, ...]] = Counter()

    class Counting(NullMetrics):
        def count(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
            assert metric is CLUSTER_REVIEWS
            counts[labels] += round(by)

    cluster = cluster_that(
        allows=lambda spec: spec["resourceAttributes"]["verb"] == "list", users={"good": {"username": "a"}}
    )
    authorizer = ReviewAuthorizer(cluster, seconds=10, metrics=Counting())
    tokens = ReviewedTokens(cluster, seconds=10, metrics=Counting())
    for verb in ("list", "list", "adopt"):
        await authorizer.decide(listing(verb=verb))
    for token in ("good", "good", "bad"):
        with contextlib.suppress(LoginRefused):
            await tokens.verify(token)
    clock.now += 10
    cluster.fault = Unavailable("away")
    for asked in (authorizer.decide(listing()), tokens.verify("good")):
        with pytest.raises(Unavailable):
            await asked
    expected = {"allowed": 1, "refused": 1, "remembered": 1, "failed": 1}
    assert counts == {(review, outcome): count for review in ("access", "token") for outcome, count in expected.items()}
