"""Who a front proxy says it speaks for, by its headers (`X-Remote-User`, `-Group`, `-Uid`, `-Extra-…`).

They count only with the front proxy's certificate, which `cluster_authenticator` has seen to. The names of the headers
are the cluster's to choose. Stricter than Kubernetes, which takes the first of several values: a user, or a uid, that
is given twice is nobody, since somebody between may have added one. Where the cluster has several names for one thing,
only one of them may be there: the aggregator sends, and takes away from what its users send, those that it uses itself.

Source: Kubernetes, "Authenticating", "Authenticating proxy"; its package `headerrequest`.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig

Header = tuple[bytes, bytes]

_LONGEST: Final = 8 * 1024
"""Of one value. How many there may be is bounded by the size of a request's head."""
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")


def proxied_user(headers: Sequence[Header], config: TrustConfig) -> UserInfo | None:
    """The user; None if the headers name none. Names of headers are in lower case, as ASGI has them.

    Raises:
        LoginRefused: the user or uid is empty or given more than once, or something is no text, or too long.
    """
    name = _single(headers, config.user_headers)
    if name is None:
        return None
    if not name:
        raise LoginRefused(LoginFailure.PROXY_HEADERS)
    groups = tuple(_text(value) for value in _given(headers, config.group_headers) if value)
    if not all(each.isprintable() for each in (name, *groups)):
        raise LoginRefused(LoginFailure.PROXY_HEADERS)
    uid = _single(headers, config.uid_headers) or ""
    return UserInfo(username=name, uid=uid, groups=groups, extra=_extra(headers, config.extra_prefixes) or None)


def _single(headers: Sequence[Header], names: Sequence[bytes]) -> str | None:
    """The value of the one header of these that is there."""
    values = _given(headers, names)
    if len(values) > 1:
        raise LoginRefused(LoginFailure.PROXY_HEADERS)
    return _text(values[0]) if values else None


def _given(headers: Sequence[Header], names: Sequence[bytes]) -> list[bytes]:
    """The values of that header of these that is there."""
    given = [(each, value) for each, value in headers if each in names]
    _check_one({name for name, _ in given})
    return [value for _, value in given]


def _check_one(kinds: set[bytes]) -> None:
    if len(kinds) > 1:
        raise LoginRefused(LoginFailure.PROXY_HEADERS)


def _extra(headers: Sequence[Header], prefixes: Sequence[bytes]) -> dict[str, tuple[str, ...]]:
    extra: dict[str, list[str]] = {}
    _check_one({prefix for prefix in prefixes for name, _ in headers if name.startswith(prefix)})
    for prefix in prefixes:
        for name, value in headers:
            if name.startswith(prefix):
                extra.setdefault(_key(name.removeprefix(prefix)), []).append(_text(value))
    return {key: tuple(values) for key, values in extra.items()}


def _key(encoded: bytes) -> str:
    """Percent-decoded, or as it is if that is not what it is."""
    return _text(encoded if _BROKEN_ESCAPE.search(encoded) else unquote_to_bytes(encoded))


def _text(value: bytes) -> str:
    if len(value) > _LONGEST:
        raise LoginRefused(LoginFailure.PROXY_HEADERS)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise LoginRefused(LoginFailure.PROXY_HEADERS) from None
