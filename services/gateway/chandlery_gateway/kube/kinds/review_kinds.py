"""Reviews: may I, may they, who am I. `authorization.k8s.io` and `authentication.k8s.io`.

Reviews are questions that are asked by a POST and answered in its response. Nothing of them is stored.
`kubectl auth can-i` and `kubectl auth whoami` ask them. Kubernetes' own groups `authorization.k8s.io` and
`authentication.k8s.io`; `review_routes` answers.
"""

from typing import Any, Final, Literal

from pydantic import Field

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import WireModel
from chandlery_gateway.kube.kinds.token_kinds import TOKEN_REVIEW

AUTHORIZATION: Final = "authorization.k8s.io"
AUTHENTICATION: Final = "authentication.k8s.io"


class ResourceAttributes(WireModel):
    """Something that is done with a resource. What is left empty means all of them."""

    namespace: str = Field(default="", description="Namespace; empty for all, or for a resource that is in none.")
    verb: str = Field(default="", description="get, list, watch, create, update, patch, delete, deletecollection or *.")
    group: str = Field(default="", description="API group; empty for the core group, * for all.")
    version: str = Field(default="", description="API version; * for all.")
    resource: str = Field(default="", description="Plural of the kind; * for all.")
    subresource: str = Field(default="", description="Such as `status`.")
    name: str = Field(default="", description="Name of one object.")
    field_selector: dict[str, Any] | None = Field(default=None, description="Ignored.")
    label_selector: dict[str, Any] | None = Field(default=None, description="Ignored.")


class NonResourceAttributes(WireModel):
    """Something that is done with a path that is no resource."""

    path: str = Field(default="", description="Path of the URL, such as `/version`.")
    verb: str = Field(default="", description="The HTTP method in small letters.")


class AccessReviewStatus(WireModel):
    """The answer."""

    allowed: bool = Field(default=False, description="Whether it is allowed.")
    denied: bool | None = Field(default=None, description="Whether it is forbidden whatever another authority says.")
    reason: str | None = Field(default=None, description="Why, in a sentence.")
    evaluation_error: str | None = Field(default=None, description="What kept the authority from a full answer.")


class SelfAccessReviewSpec(WireModel):
    """What the asking user wants to do; exactly one of the two."""

    resource_attributes: ResourceAttributes | None = Field(default=None, description="With a resource.")
    non_resource_attributes: NonResourceAttributes | None = Field(default=None, description="With another path.")


class AccessReviewSpec(SelfAccessReviewSpec):
    """What somebody wants to do; exactly one of the two, and a user or a group."""

    user: str = Field(default="", description="Name of the user.")
    groups: tuple[str, ...] | None = Field(default=None, description="Groups of the user.")
    extra: dict[str, tuple[str, ...]] | None = Field(default=None, description="What else is known of the user.")
    uid: str = Field(default="", description="Id of the user.")


class SelfSubjectAccessReview(WireModel):
    """May I do this? Asked by `kubectl auth can-i`."""

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["SelfSubjectAccessReview"] = "SelfSubjectAccessReview"
    metadata: ObjectMeta = ObjectMeta()
    spec: SelfAccessReviewSpec = SelfAccessReviewSpec()
    status: AccessReviewStatus = AccessReviewStatus()


class SubjectAccessReview(WireModel):
    """May somebody do this?"""

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["SubjectAccessReview"] = "SubjectAccessReview"
    metadata: ObjectMeta = ObjectMeta()
    spec: AccessReviewSpec = AccessReviewSpec()
    status: AccessReviewStatus = AccessReviewStatus()


class LocalSubjectAccessReview(WireModel):
    """May somebody do this in the namespace of the review?"""

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["LocalSubjectAccessReview"] = "LocalSubjectAccessReview"
    metadata: ObjectMeta = ObjectMeta()
    spec: AccessReviewSpec = AccessReviewSpec()
    status: AccessReviewStatus = AccessReviewStatus()


class RulesReviewSpec(WireModel):
    """Where."""

    namespace: str = Field(default="", description="Namespace that the rules are wanted for.")


class RulesReviewStatus(WireModel):
    """The answer, for people to read; to decide by it is no good."""

    resource_rules: list[dict[str, list[str]]] = Field(default=[], description="What is allowed with resources.")
    non_resource_rules: list[dict[str, list[str]]] = Field(default=[], description="What is allowed with other paths.")
    incomplete: bool = Field(default=False, description="Whether more may be allowed than is listed.")


class SelfSubjectRulesReview(WireModel):
    """What may I do here? Asked by `kubectl auth can-i --list`."""

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["SelfSubjectRulesReview"] = "SelfSubjectRulesReview"
    metadata: ObjectMeta = ObjectMeta()
    spec: RulesReviewSpec = RulesReviewSpec()
    status: RulesReviewStatus = RulesReviewStatus()


class SelfSubjectReviewStatus(WireModel):
    """The answer."""

    user_info: UserInfo = Field(default=UserInfo(), description="Who is asking, as the server knows them.")


class SelfSubjectReview(WireModel):
    """Who am I? Asked by `kubectl auth whoami`."""

    api_version: Literal["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"] = "authentication.k8s.io/v1"
    kind: Literal["SelfSubjectReview"] = "SelfSubjectReview"
    metadata: ObjectMeta = ObjectMeta()
    status: SelfSubjectReviewStatus = SelfSubjectReviewStatus()


def _review(
    model: type[WireModel], *, group: str = AUTHORIZATION, version: str = "v1", namespaced: bool = False
) -> Kind:
    name = model.__name__
    return Kind(
        name,
        f"{name.lower()}s",
        model,
        namespaced=namespaced,
        group=group,
        version=version,
        has_status=False,
        categories=(),
        verbs=("create",),
    )


ACCESS_REVIEWS: Final = (
    _review(SelfSubjectAccessReview),
    _review(SubjectAccessReview),
    _review(LocalSubjectAccessReview, namespaced=True),
)
RULES_REVIEW: Final = _review(SelfSubjectRulesReview)
WHO_AM_I: Final = tuple(
    # kubectl 1.27 asks for the beta version first.
    _review(SelfSubjectReview, group=AUTHENTICATION, version=version)
    for version in ("v1", "v1beta1")
)
REVIEW_KINDS: Final = (*ACCESS_REVIEWS, RULES_REVIEW, WHO_AM_I[0], TOKEN_REVIEW, *WHO_AM_I[1:])
