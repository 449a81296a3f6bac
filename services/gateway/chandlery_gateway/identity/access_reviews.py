"""Answers reviews by asking the authorizer. What a review has to say is checked as Kubernetes' validation does."""

from collections.abc import Iterator
from typing import Any

from chandlery.model.faults import BadRequest, FieldProblem, Invalid
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import WireModel
from chandlery_gateway.admission.field_checks import forbidden, invalid, required
from chandlery_gateway.identity.authentication import LoginRefused, TokenVerifier
from chandlery_gateway.identity.authorization import Access, Authorizer, Rules
from chandlery_gateway.kube.kinds.review_kinds import (
    AccessReviewSpec,
    AccessReviewStatus,
    LocalSubjectAccessReview,
    RulesReviewStatus,
    SelfAccessReviewSpec,
    SelfSubjectAccessReview,
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    SelfSubjectRulesReview,
    SubjectAccessReview,
)
from chandlery_gateway.kube.kinds.token_kinds import AUDIENCE, TokenReview, TokenReviewSpec, TokenReviewStatus


class Reviews:
    """Answers what may be done, and by whom."""

    def __init__(self, authorizer: Authorizer, *, tokens: TokenVerifier) -> None:
        """`tokens` knows whose bearer tokens are."""
        self._authorizer = authorizer
        self._tokens = tokens

    async def answer(self, review: Any, *, user: UserInfo, namespace: str) -> WireModel:
        """The review with its status. Raises Invalid, or BadRequest for one of another namespace.

        `user` is who asks, `namespace` that of the request's path.
        """
        match review:
            case SelfSubjectAccessReview():
                _refuse(_attribute_problems(review.spec))
                return review.model_copy(update={"status": await self._decided(_access(review.spec, user))})
            case SubjectAccessReview() | LocalSubjectAccessReview():
                if isinstance(review, LocalSubjectAccessReview):
                    _check_namespace(review, namespace)
                _refuse((*_attribute_problems(review.spec), *_subject_problems(review.spec)))
                return review.model_copy(update={"status": await self._decided(_access(review.spec, None))})
            case SelfSubjectRulesReview():
                if not review.spec.namespace:
                    raise BadRequest("no namespace on request")
                rules = await self._authorizer.rules(user, review.spec.namespace)
                return review.model_copy(update={"status": _rules_status(rules)})
            case SelfSubjectReview():
                return review.model_copy(update={"status": SelfSubjectReviewStatus(user_info=user)})
            case TokenReview():
                # The token is not repeated: whoever asks has it, and whoever keeps answers should not.
                spec = review.spec.model_copy(update={"token": ""})
                return review.model_copy(update={"spec": spec, "status": await self._reviewed(review.spec)})
        raise TypeError(f"{type(review).__name__} is not a review")

    async def _decided(self, access: Access) -> AccessReviewStatus:
        decision = await self._authorizer.decide(access)
        return AccessReviewStatus(allowed=decision.allowed, reason=decision.reason or None)

    async def _reviewed(self, spec: TokenReviewSpec) -> TokenReviewStatus:
        if not spec.token:
            raise BadRequest("token is required for TokenReview in authentication")
        if spec.audiences and AUDIENCE not in spec.audiences:
            return TokenReviewStatus(error=f"tokens of this API are for the audience {AUDIENCE}")
        try:
            user = await self._tokens.verify(spec.token)
        except LoginRefused:
            user = None
        if user is None:
            return TokenReviewStatus()
        return TokenReviewStatus(authenticated=True, user=user, audiences=(AUDIENCE,))


def _access(spec: SelfAccessReviewSpec, user: UserInfo | None) -> Access:
    if user is None:
        user = _subject(spec)
    if spec.non_resource_attributes is not None:
        return Access(user=user, verb=spec.non_resource_attributes.verb, path=spec.non_resource_attributes.path)
    asked = spec.resource_attributes
    if asked is None:
        raise TypeError("a review without attributes has been refused before")
    return Access(
        user=user,
        verb=asked.verb,
        group=asked.group,
        version=asked.version,
        resource=asked.resource,
        subresource=asked.subresource,
        namespace=asked.namespace,
        name=asked.name,
    )


def _subject(spec: SelfAccessReviewSpec) -> UserInfo:
    if not isinstance(spec, AccessReviewSpec):
        raise TypeError("only a review about another user has a subject")
    return UserInfo(username=spec.user, uid=spec.uid, groups=spec.groups, extra=spec.extra)


def _refuse(problems: Iterator[FieldProblem] | tuple[FieldProblem, ...]) -> None:
    found = tuple(problems)
    if found:
        raise Invalid(problems=found)


def _attribute_problems(spec: SelfAccessReviewSpec) -> Iterator[FieldProblem]:
    only_one = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
    if spec.resource_attributes is not None and spec.non_resource_attributes is not None:
        yield invalid(
            "spec.nonResourceAttributes", f"cannot be specified in combination with resourceAttributes: {only_one}"
        )
    if spec.resource_attributes is None and spec.non_resource_attributes is None:
        yield invalid("spec.resourceAttributes", only_one)


def _subject_problems(spec: AccessReviewSpec) -> Iterator[FieldProblem]:
    if not spec.user and not spec.groups:
        yield required("spec.user", "at least one of user or group must be specified")


def _check_namespace(review: LocalSubjectAccessReview, namespace: str) -> None:
    if review.spec.non_resource_attributes is not None:
        _refuse((forbidden("spec.nonResourceAttributes", "a path is in no namespace; use a SubjectAccessReview"),))
    asked = review.spec.resource_attributes
    if asked is not None and asked.namespace != namespace:
        message = f"must be the namespace of the request, {namespace}"
        _refuse((invalid("spec.resourceAttributes.namespace", message),))
    if review.metadata.namespace not in (None, "", namespace):
        raise BadRequest("the namespace of the object does not match the namespace on the request")


def _rules_status(rules: Rules) -> RulesReviewStatus:
    resources = [
        {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources, "resourceNames": rule.names}
        for rule in rules.resources
    ]
    paths = [{"verbs": rule.verbs, "nonResourceURLs": rule.paths} for rule in rules.paths]
    return RulesReviewStatus(
        resource_rules=[{key: list(words) for key, words in rule.items() if words} for rule in resources],
        non_resource_rules=[{key: list(words) for key, words in rule.items()} for rule in paths],
        incomplete=not rules.is_complete,
    )
