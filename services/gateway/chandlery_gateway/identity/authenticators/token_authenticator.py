"""Knows users by bearer tokens: one administrator's token, and a static token file in kube-apiserver's form.

The gateway reads them before it does anything else. A token that could be guessed, or that two users share, ends the
start with a sentence, which never shows the token. None of them ever expires, so that whoever uses them is warned.
"""

import csv
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects.instances import UserInfo

ADMINISTRATOR: Final = UserInfo(username="admin", uid="admin", groups=("system:masters", "system:authenticated"))
SHORTEST_TOKEN: Final = 16
_AUTHENTICATED: Final = "system:authenticated"
_SETTING: Final = "CHANDLERY_TOKEN"
_COLUMNS: Final = 3
_GROUPS_COLUMN: Final = 3
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_REMEDY: Final = "create one with `openssl rand -hex 32`"


def read_users(token: SecretStr | None, token_file: Path | None) -> dict[str, UserInfo]:
    """The configured users by token. Raises ConfigurationFault that names the setting, or the file and its line."""
    users: dict[str, UserInfo] = {}
    places: dict[str, str] = {}
    if token and token.get_secret_value():
        _check(token.get_secret_value(), _SETTING)
        users[token.get_secret_value()], places[token.get_secret_value()] = ADMINISTRATOR, _SETTING
    for number, row in _rows(token_file) if token_file else ():
        place = f"{token_file} line {number}"
        known, user = row[0].strip(), _user(row, place)
        _check(known, place)
        if known in places:
            raise ConfigurationFault(
                f"{place}: the token of {user.username} is that of {places[known]} too. Each user needs a "
                f"token of their own: {_REMEDY}"
            )
        users[known], places[known] = user, f"line {number}"
    return users


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if row and not row[0].lstrip().startswith("#"):
                    yield number, row
    except OSError as error:
        raise ConfigurationFault(f"CHANDLERY_TOKEN_FILE {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationFault(f"CHANDLERY_TOKEN_FILE {path} is not a CSV file in UTF-8") from error


def _check(token: str, place: str) -> None:
    if not _VISIBLE.fullmatch(token):
        raise ConfigurationFault(
            f"{place}: a token consists of letters, digits and punctuation, without blanks; {_REMEDY}"
        )
    if len(token) < SHORTEST_TOKEN:
        raise ConfigurationFault(
            f"{place}: the token has {len(token)} characters and can be guessed; it needs {SHORTEST_TOKEN} "
            f"or more: {_REMEDY}"
        )


def _user(row: list[str], place: str) -> UserInfo:
    cells = [cell.strip() for cell in row]
    if len(cells) < _COLUMNS or not all(cells[:_COLUMNS]) or not all(map(str.isprintable, cells)):
        raise ConfigurationFault(f'{place}: expected token,user,uid and optionally "group1,group2"')
    groups = [group.strip() for group in cells[_GROUPS_COLUMN].split(",")] if len(cells) > _GROUPS_COLUMN else []
    return UserInfo(username=cells[1], uid=cells[2], groups=(*(group for group in groups if group), _AUTHENTICATED))


class TokenAuthenticator:
    """See TokenVerifier. Knows tokens by keyed digest, so that a look-up takes the same time for every wrong one."""

    def __init__(self, users: Mapping[str, UserInfo], *, is_only_way: bool = True) -> None:
        """`users` maps tokens to users. The API is never open: raises ConfigurationFault without any way to get in."""
        self._key = secrets.token_bytes(32)
        self._users: dict[bytes, UserInfo] = {}
        self._is_only_way = is_only_way
        self.replace(users)

    def replace(self, users: Mapping[str, UserInfo]) -> None:
        """From now on these are the users.

        Raises ConfigurationFault if that would leave nobody who could get in, and goes on with the old ones.
        """
        if not users and self._is_only_way:
            raise ConfigurationFault(
                "no way to authenticate users: set CHANDLERY_TOKEN, CHANDLERY_TOKEN_FILE, CHANDLERY_CLIENT_CA_FILE, "
                "CHANDLERY_OIDC_ISSUER_URL or CHANDLERY_AUTHENTICATION_CONFIG"
            )
        self._users = {self._digest(token): user for token, user in users.items()}

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier."""
        return self._users.get(self._digest(token))

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode(), "sha256")
