"""Acting as somebody else (`kubectl --as`): the headers `Impersonate-…`, read right after authentication.

Source: Kubernetes, "Authenticating", section "User impersonation". Only `system:masters` may.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from chandlery.model.faults import BadRequest, Forbidden
from chandlery.model.objects.instances import UserInfo

_MASTERS: Final = "system:masters"
_AUTHENTICATED: Final = "system:authenticated"
_ANONYMOUS: Final = "system:anonymous"
_UNAUTHENTICATED: Final = "system:unauthenticated"
_SERVICE_ACCOUNT: Final = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):[^:]+")
HEADER_PREFIX: Final = b"impersonate-"
"""Without a header that begins so, a request counts as its sender."""
_EXTRA: Final = "impersonate-extra-"


def acting_user(user: UserInfo, headers: Headers) -> UserInfo:
    """Who the request is to count as: the user, or whom it asks to be.

    Raises:
        Forbidden: the user may not act as anybody else.
        BadRequest: groups, a uid or extra fields are given without a name.
    """
    name, groups = headers.get("impersonate-user", ""), headers.getlist("impersonate-group")
    uid, extra = headers.get("impersonate-uid", ""), _extra(headers)
    if not name:
        if groups or uid or extra:
            raise BadRequest("Impersonate-Group, -Uid and -Extra- need Impersonate-User (`kubectl --as`)")
        return user
    if _MASTERS not in (user.groups or ()):
        raise Forbidden(
            f'User "{user.username}" cannot impersonate resource "users" in API group "" at the cluster scope'
        )
    return UserInfo(username=name, uid=uid, groups=_groups(name, groups), extra=extra or None)


def _groups(name: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Those that were asked for, and those that everybody has who is known, or nobody who is not."""
    account = _SERVICE_ACCOUNT.fullmatch(name)
    groups = tuple(asked)
    if account and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account['namespace']}")
    if _UNAUTHENTICATED in groups or (_AUTHENTICATED in groups and name != _ANONYMOUS):
        return groups
    return (*groups, _UNAUTHENTICATED if name == _ANONYMOUS else _AUTHENTICATED)


def _extra(headers: Headers) -> dict[str, tuple[str, ...]]:
    names = sorted({key.lower() for key in headers if key.lower().startswith(_EXTRA)})
    return {unquote(name.removeprefix(_EXTRA)): tuple(headers.getlist(name)) for name in names}
