"""Reviews are answered in the authorizer's words, and refused in Kubernetes' when they do not say enough."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from chandlery.model.faults import BadRequest, Invalid
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.access_reviews import Reviews
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from chandlery_gateway.identity.authorization import Access, Decision, PathRule, Reach, ResourceRule, Rules
from chandlery_gateway.kube.kinds.review_kinds import REVIEW_KINDS

NOBODY = UnionAuthenticator(certificates=None, verifiers=[])
ANN = UserInfo(username="ann", uid="u-1", groups=("dba", "system:authenticated"))
BOB = UserInfo(username="bob", uid="u-2", groups=("dba",), extra={"scopes": ("a",)})
MODELS = {kind.kind: kind.model for kind in REVIEW_KINDS}
DELETE = {"namespace": "team", "verb": "delete", "group": "g", "version": "v", "resource": "things", "name": "one"}
ABOUT_BOB = {"user": "bob", "uid": "u-2", "groups": ["dba"], "extra": {"scopes": ["a"]}}


@dataclass
class ReadOnly:
    """An authorizer that lets everybody read, and remembers what it was asked."""

    asked: list[Access] = field(default_factory=list)
    revision: int = 0

    async def decide(self, access: Access) -> Decision:
        self.asked.append(access)
        return Decision(allowed=access.verb == "get", reason=f"{access.user.username} may read")

    async def reach(self, access: Access) -> Reach:
        raise AssertionError(access)

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        rule = ResourceRule(verbs=("get",), groups=("",), resources=("secrets",), names=(user.username, namespace))
        paths = (PathRule(verbs=("get",), paths=("/version",)),)
        return Rules(resources=(rule,), paths=paths, is_complete=False)


async def answered(kind: str, *, namespace: str = "", **spec: Any) -> tuple[Any, ReadOnly]:
    authorizer = ReadOnly()
    body = {"spec": spec} if spec else {}
    review = MODELS[kind].model_validate(body)
    return await Reviews(authorizer, tokens=NOBODY).answer(review, user=ANN, namespace=namespace), authorizer


@pytest.mark.parametrize(
    ("kind", "spec", "user"),
    [
        ("SelfSubjectAccessReview", {}, ANN),
        ("SubjectAccessReview", ABOUT_BOB, BOB),
        ("LocalSubjectAccessReview", ABOUT_BOB, BOB),
    ],
)
async def test_an_access_review_asks_for_the_right_user_and_tells_why(
    kind: str, spec: dict[str, Any], user: UserInfo
) -> None:
    review, authorizer = await answered(kind, namespace="team", resourceAttributes=DELETE, **spec)
    assert authorizer.asked == [
        Access(user=user, verb="delete", group="g", version="v", resource="things", namespace="team", name="one")
    ]
    assert (review.status.allowed, review.status.reason) == (False, f"{user.username} may read")


async def test_an_access_review_can_be_about_a_path() -> None:
    review, authorizer = await answered(
        "SelfSubjectAccessReview", nonResourceAttributes={"path": "/metrics", "verb": "get"}
    )
    assert authorizer.asked == [Access(user=ANN, verb="get", path="/metrics")]
    assert review.status.allowed


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("SelfSubjectAccessReview", {}, "spec.resourceAttributes"),
        (
            "SelfSubjectAccessReview",
            {"resourceAttributes": DELETE, "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
        ),
        ("SubjectAccessReview", {"resourceAttributes": DELETE}, "spec.user"),
        (
            "LocalSubjectAccessReview",
            {"nonResourceAttributes": {"path": "/"}, **ABOUT_BOB},
            "spec.nonResourceAttributes",
        ),
        (
            "LocalSubjectAccessReview",
            {"resourceAttributes": {**DELETE, "namespace": "other"}, **ABOUT_BOB},
            "spec.resourceAttributes.namespace",
        ),
    ],
)
async def test_a_review_that_does_not_say_enough_names_the_field(kind: str, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        await answered(kind, namespace="team", **spec)
    assert [problem.field for problem in raised.value.problems] == [field]


async def test_rules_are_listed_in_the_words_of_rbac() -> None:
    asked = MODELS["SelfSubjectRulesReview"].model_validate({"spec": {"namespace": "team"}})
    review = await Reviews(ReadOnly(), tokens=NOBODY).answer(asked, user=ANN, namespace="")
    assert review.to_wire()["status"] == {
        "resourceRules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ann", "team"]}
        ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}],
        "incomplete": True,
    }
    with pytest.raises(BadRequest, match="no namespace"):
        await answered("SelfSubjectRulesReview")


async def test_who_asks_is_told_who_they_are() -> None:
    review, _ = await answered("SelfSubjectReview")
    assert review.status.user_info == ANN
