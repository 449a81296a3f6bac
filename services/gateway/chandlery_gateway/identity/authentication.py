"""Who is asking: finds the user of a bearer token, among those that `token_users` has read."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.kube.printing.status_objects import Unauthorized

_USER: Final = "chandlery.user"


class Authenticator:
    """Knows tokens by keyed digest, so that a look-up takes the same time for every wrong one."""

    def __init__(self, users: Mapping[str, UserInfo]) -> None:
        """`users` maps tokens to users. The API is never open: raises ConfigurationFault without any."""
        self._key = secrets.token_bytes(32)
        self._users: dict[bytes, UserInfo] = {}
        self.replace(users)

    def replace(self, users: Mapping[str, UserInfo]) -> None:
        """From now on these are the users; raises ConfigurationFault without any, and goes on with the old ones."""
        if not users:
            raise ConfigurationFault("no way to authenticate: set CHANDLERY_TOKEN or CHANDLERY_TOKEN_FILE")
        self._users = {self._digest(token): user for token, user in users.items()}

    def user(self, authorization: str | None) -> UserInfo:
        """The user behind an Authorization header; raises Unauthorized."""
        scheme, _, token = (authorization or "").partition(" ")
        user = self._users.get(self._digest(token.strip())) if scheme.lower() == "bearer" else None
        if user is None:
            raise Unauthorized
        return user

    def sender(self, scope: MutableMapping[str, Any]) -> UserInfo:
        """The user behind a request, which is found out once and noted in its ASGI scope; raises Unauthorized."""
        found: UserInfo | None = scope.get(_USER)
        if found is None:
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            found = scope[_USER] = self.user(given.decode("latin-1"))
        return found

    def _digest(self, token: str) -> bytes:
        return hmac.new(self._key, token.encode(), hashlib.sha256).digest()
