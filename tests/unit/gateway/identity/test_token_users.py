"""Who may log in, and what is wrong with a token that would let in others too."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.identity.authenticators.token_authenticator import ADMINISTRATOR, read_users

ADMIN = "a" * 32
ANN = "token-of-ann-the-developer"


def users_file(folder: Path, text: str) -> Path:
    path = folder / "tokens.csv"
    path.write_text(text)
    return path


def test_users_come_from_the_setting_and_from_the_file(tmp_path: Path) -> None:
    path = users_file(tmp_path, f'# token,user,uid,groups\n{ANN},ann,7,"dev, dba"\n')
    users = read_users(SecretStr(ADMIN), path)
    assert users[ADMIN] == ADMINISTRATOR
    assert (users[ANN].username, users[ANN].uid) == ("ann", "7")
    assert users[ANN].groups == ("dev", "dba", "system:authenticated")
    assert read_users(SecretStr(""), None) == {}


@pytest.mark.parametrize(
    ("token", "text", "words"),
    [
        ("a", "", ("CHANDLERY_TOKEN: the token has 1 characters", "16 or more", "openssl rand -hex 32")),
        ("a b" * 10, "", ("CHANDLERY_TOKEN: a token consists of letters, digits and punctuation",)),
        ("ä" * 20, "", ("CHANDLERY_TOKEN: a token consists of letters",)),
        (ADMIN, "short-secret,ann,7\n", ("tokens.csv line 1: the token has 12 characters",)),
        (ADMIN, f"{ANN},ann,7\n#\n{ANN},bob,8\n", ("line 3: the token of bob is that of line 1 too", "of their own")),
        (ADMIN, f"{ADMIN},ann,7\n", ("line 1: the token of ann is that of CHANDLERY_TOKEN too",)),
        (ADMIN, f"{ANN},ann\x07,7\n", ("line 1: expected token,user,uid",)),
        (ADMIN, f"{ANN},ann\n", ("line 1: expected token,user,uid",)),
    ],
    ids=[
        "short",
        "blank",
        "no ascii",
        "short in file",
        "doubled",
        "the administrator's",
        "control character",
        "no uid",
    ],
)
def test_token_that_lets_in_others_too_is_refused_and_not_shown(
    tmp_path: Path, token: str, text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        read_users(SecretStr(token), users_file(tmp_path, text))
    for each in words:
        assert each in raised.value.message
    assert "\n" not in raised.value.message
    for secret in (ADMIN, ANN, "short-secret", "ä", "a b"):
        assert secret not in raised.value.message


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationFault, match=r"tokens\.csv is not a CSV file in UTF-8"):
        read_users(None, path)
