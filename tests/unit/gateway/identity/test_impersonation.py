"""Who a request counts as when it asks to be somebody else."""

import pytest
from starlette.datastructures import Headers

from chandlery.model.faults import BadRequest, Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authenticators.token_authenticator import ADMINISTRATOR
from chandlery_gateway.identity.impersonation import acting_user

SOMEBODY = UserInfo(username="bob", uid="7", groups=("system:authenticated",))


def headers(*given: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode()) for name, value in given])


def test_without_the_headers_everybody_is_himself() -> None:
    assert acting_user(SOMEBODY, headers(("Authorization", "Bearer x"))) is SOMEBODY


def test_an_administrator_becomes_exactly_whom_he_names() -> None:
    asked = headers(
        ("Impersonate-User", "ann"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "42"),
        ("Impersonate-Extra-acme.com%2fteam", "blue"),
    )
    assert acting_user(ADMINISTRATOR, asked) == UserInfo(
        username="ann", uid="42", groups=("dev", "ops", "system:authenticated"), extra={"acme.com/team": ("blue",)}
    )


@pytest.mark.parametrize(
    ("name", "asked", "groups"),
    [
        ("ann", (), ("system:authenticated",)),
        ("ann", ("system:authenticated",), ("system:authenticated",)),
        ("ann", ("system:unauthenticated",), ("system:unauthenticated",)),
        ("system:anonymous", (), ("system:unauthenticated",)),
        ("system:anonymous", ("dev",), ("dev", "system:unauthenticated")),
        ("system:anonymous", ("system:authenticated",), ("system:authenticated", "system:unauthenticated")),
        (
            "system:serviceaccount:team:robot",
            (),
            ("system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"),
        ),
        ("system:serviceaccount:team:robot", ("dev",), ("dev", "system:authenticated")),
    ],
)
def test_groups_follow_from_whom_one_acts_as(name: str, asked: tuple[str, ...], groups: tuple[str, ...]) -> None:
    given = [("Impersonate-User", name), *(("Impersonate-Group", group) for group in asked)]
    assert acting_user(ADMINISTRATOR, headers(*given)).groups == groups


def test_nobody_else_may() -> None:
    with pytest.raises(Forbidden, match='User "bob" cannot impersonate resource "users"'):
        acting_user(SOMEBODY, headers(("Impersonate-User", "ann")))


def test_groups_need_a_name() -> None:
    with pytest.raises(BadRequest, match="kubectl --as"):
        acting_user(ADMINISTRATOR, headers(("Impersonate-Group", "dev")))
