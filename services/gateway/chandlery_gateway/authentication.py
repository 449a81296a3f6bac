"""Who is asking: bearer tokens of a static token file, as kube-apiserver reads it, or of one administrator."""

import csv
import hashlib
import hmac
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.model.instances import UserInfo
from chandlery_gateway.kube.status_objects import Unauthorized

ADMINISTRATOR = UserInfo(username="admin", uid="admin", groups=("system:masters", "system:authenticated"))
_AUTHENTICATED = "system:authenticated"
_COLUMNS = 3
_GROUPS_COLUMN = 3
_USER: Final = "chandlery.user"


class Authenticator:
    """Knows tokens by keyed digest, so that a look-up takes the same time for every wrong one."""

    def __init__(self, users: Mapping[str, UserInfo]) -> None:
        """`users` maps tokens to users. The API is never open: raises ConfigurationFault without any."""
        if not users:
            raise ConfigurationFault("no way to authenticate: set CHANDLERY_TOKEN or CHANDLERY_TOKEN_FILE")
        self._key = secrets.token_bytes(32)
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


def read_users(token: SecretStr | None, token_file: Path | None) -> dict[str, UserInfo]:
    """The configured users by token; raises ConfigurationFault that names the line of a bad file."""
    users = {token.get_secret_value(): ADMINISTRATOR} if token and token.get_secret_value() else {}
    if token_file is None:
        return users
    try:
        with token_file.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if row and not row[0].lstrip().startswith("#"):
                    users[row[0].strip()] = _user(row, f"{token_file} line {number}")
    except OSError as error:
        raise ConfigurationFault(f"CHANDLERY_TOKEN_FILE {token_file} cannot be read: {error.strerror}") from error
    return users


def _user(row: list[str], place: str) -> UserInfo:
    cells = [cell.strip() for cell in row]
    if len(cells) < _COLUMNS or not all(cells[:_COLUMNS]):
        raise ConfigurationFault(f'{place}: expected token,user,uid and optionally "group1,group2"')
    groups = [group.strip() for group in cells[_GROUPS_COLUMN].split(",")] if len(cells) > _GROUPS_COLUMN else []
    return UserInfo(username=cells[1], uid=cells[2], groups=(*(group for group in groups if group), _AUTHENTICATED))
