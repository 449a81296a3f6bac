"""Questions about tokens, of Kubernetes' group authentication.k8s.io: a new one for a service account, and whose is it?

Like other reviews they are asked by a POST, answered in its response, and not stored.
"""

from typing import Final, Literal

from pydantic import Field

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import ObjectMeta, Timestamp
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.reconcile.policies.token_lifetimes import DEFAULT_SECONDS

_GROUP: Final = "authentication.k8s.io"


class TokenRequestSpec(WireModel):
    """What token is wanted."""

    audiences: tuple[str, ...] | None = Field(
        default=None, description="For whom the token is: this API (`chandlery`), and nobody else."
    )
    expiration_seconds: int = Field(
        default=DEFAULT_SECONDS, description="How long it is to be valid, in seconds; ten minutes at least."
    )
    bound_object_ref: JsonObject | None = Field(
        default=None, description="Not supported: a token belongs to its service account alone."
    )


class TokenRequestStatus(WireModel):
    """The answer."""

    token: str = Field(default="", description="The token, which is shown this once.", repr=False)
    expiration_timestamp: Timestamp | None = Field(default=None, description="When it expires.")


class TokenRequest(WireModel):
    """A token for a service account. Asked by `kubectl create token`."""

    api_version: Literal["authentication.k8s.io/v1"] = "authentication.k8s.io/v1"
    kind: Literal["TokenRequest"] = "TokenRequest"
    metadata: ObjectMeta = ObjectMeta()
    spec: TokenRequestSpec = TokenRequestSpec()
    status: TokenRequestStatus = TokenRequestStatus()


class TokenReviewSpec(WireModel):
    """What is asked."""

    token: str = Field(default="", description="The token. It is not repeated in the answer.", repr=False)
    audiences: tuple[str, ...] | None = Field(
        default=None, description="For whom it has to be; this API (`chandlery`) unless given."
    )


class TokenReviewStatus(WireModel):
    """The answer."""

    authenticated: bool = Field(default=False, description="Whether the token lets somebody in.")
    user: UserInfo | None = Field(default=None, description="Whom.")
    audiences: tuple[str, ...] | None = Field(default=None, description="For whom it is, of those that were asked for.")
    error: str | None = Field(default=None, description="Why it could not be checked.")


class TokenReview(WireModel):
    """Whose token is this?"""

    api_version: Literal["authentication.k8s.io/v1"] = "authentication.k8s.io/v1"
    kind: Literal["TokenReview"] = "TokenReview"
    metadata: ObjectMeta = ObjectMeta()
    spec: TokenReviewSpec = TokenReviewSpec()
    status: TokenReviewStatus = TokenReviewStatus()


def _kind(model: type[WireModel], plural: str) -> Kind:
    return Kind(
        model.__name__,
        plural,
        model,
        namespaced=False,
        group=_GROUP,
        version="v1",
        has_status=False,
        categories=(),
        verbs=("create",),
    )


TOKEN_REQUEST: Final = _kind(TokenRequest, "tokenrequests")
"""Served under its service account alone: `serviceaccounts/<name>/token`."""
TOKEN_REVIEW: Final = _kind(TokenReview, "tokenreviews")
AUDIENCE: Final = "chandlery"
"""What this API is called where a token says for whom it is."""
