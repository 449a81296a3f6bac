"""Acting as somebody else (`kubectl --as`): the headers `Impersonate-…`, read right after authentication.

Source: Kubernetes, "Authenticating", section "User impersonation". Each thing that somebody wants to be is asked of the
authorizer, as the verb `impersonate`: the user or service account, every group, the uid, every extra value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from chandlery.model.faults import BadRequest
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED
from chandlery_gateway.identity.authorization import Access, Authorizer, check_allowed

IMPERSONATE: Final = "impersonate"
_AUTHENTICATION: Final = "authentication.k8s.io"
_SERVICE_ACCOUNT: Final = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>[^:]+)")
HEADER_PREFIX: Final = b"impersonate-"
"""Without a header that begins so, a request counts as its sender."""
_EXTRA: Final = "impersonate-extra-"


async def acting_user(user: UserInfo, headers: Headers, authorizer: Authorizer) -> UserInfo:
    """Who the request is to count as: the user, or whom it asks to be.

    Raises:
        Forbidden: the user may not act as this one, or not with this group, uid or extra value.
        BadRequest: groups, a uid or extra fields are given without a name, or something is not UTF-8.
    """
    name, groups = _text(headers.get("impersonate-user", "")), [*map(_text, headers.getlist("impersonate-group"))]
    uid, extra = _text(headers.get("impersonate-uid", "")), _extra(headers)
    if not name:
        if groups or uid or extra:
            raise BadRequest("Impersonate-Group, -Uid and -Extra- need Impersonate-User (`kubectl --as`)")
        return user
    for access in _accesses(user, name, groups, uid=uid, extra=extra):
        check_allowed(access, await authorizer.decide(access))
    return UserInfo(username=name, uid=uid, groups=_groups(name, groups), extra=extra or None)


def _accesses(
    user: UserInfo, name: str, groups: Sequence[str], *, uid: str, extra: Mapping[str, Sequence[str]]
) -> Iterator[Access]:
    account = _SERVICE_ACCOUNT.fullmatch(name)
    if account:
        yield Access(
            user=user,
            verb=IMPERSONATE,
            version="v1",
            resource="serviceaccounts",
            namespace=account["namespace"],
            name=account["name"],
        )
    else:
        yield Access(user=user, verb=IMPERSONATE, version="v1", resource="users", name=name)
    for group in groups:
        yield Access(user=user, verb=IMPERSONATE, version="v1", resource="groups", name=group)
    about = Access(user=user, verb=IMPERSONATE, group=_AUTHENTICATION, version="v1")
    if uid:
        yield replace(about, resource="uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield replace(about, resource="userextras", subresource=key, name=value)


def _groups(name: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Those that were asked for, and those that everybody has who is known, or nobody who is not."""
    account = _SERVICE_ACCOUNT.fullmatch(name)
    groups = tuple(asked)
    if account and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account['namespace']}")
    if UNAUTHENTICATED in groups or (AUTHENTICATED in groups and name != ANONYMOUS):
        return groups
    return (*groups, UNAUTHENTICATED if name == ANONYMOUS else AUTHENTICATED)


def _extra(headers: Headers) -> dict[str, tuple[str, ...]]:
    names = sorted({key.lower() for key in headers if key.lower().startswith(_EXTRA)})
    return {unquote(name.removeprefix(_EXTRA)): tuple(map(_text, headers.getlist(name))) for name in names}


def _text(value: str) -> str:
    """What clients send as UTF-8, of which ASGI's headers make Latin-1: else `--as zoë` would be somebody else."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise BadRequest("the headers Impersonate-… must be UTF-8") from None
