"""Whom claims make of a user: names with their prefixes, and nothing that would pass for one of ours."""

from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators.oidc.claims import user_of
from chandlery_gateway.identity.authenticators.oidc.issuers import ClaimMappings, Issuer


def issuer(mappings: dict[str, str], required: dict[str, str] | None = None) -> Issuer:
    return Issuer(
        url="https://id.example",
        audiences=frozenset({"chandlery"}),
        mappings=ClaimMappings(**mappings),
        required=required or {},
    )


@pytest.mark.parametrize(
    ("mappings", "claims", "user"),
    [
        ({}, {"sub": "ann"}, UserInfo(username="ann", groups=())),
        ({"username_prefix": "x:"}, {"sub": "system:ann"}, UserInfo(username="x:system:ann", groups=())),
        ({"username_claim": "email"}, {"email": "a@b.c"}, UserInfo(username="a@b.c", groups=())),
        (
            {"username_claim": "email"},
            {"email": "a@b.c", "email_verified": True},
            UserInfo(username="a@b.c", groups=()),
        ),
        ({"groups_claim": "roles"}, {"sub": "ann", "roles": "dev"}, UserInfo(username="ann", groups=("dev",))),
        (
            {"groups_claim": "roles", "groups_prefix": "x:"},
            {"sub": "ann", "roles": ["dev", "", "ops"]},
            UserInfo(username="ann", groups=("x:dev", "x:ops")),
        ),
        ({"uid_claim": "oid"}, {"sub": "ann", "oid": "7"}, UserInfo(username="ann", uid="7", groups=())),
    ],
)
def test_claims_are_mapped_as_kubernetes_does(mappings: dict[str, str], claims: dict[str, Any], user: UserInfo) -> None:
    assert user_of(claims, issuer(mappings)) == user


@pytest.mark.parametrize(
    ("mappings", "claims", "reason"),
    [
        ({}, {}, LoginFailure.CLAIMS),
        ({}, {"sub": ""}, LoginFailure.CLAIMS),
        ({}, {"sub": 7}, LoginFailure.CLAIMS),
        ({}, {"sub": "ann\n"}, LoginFailure.CLAIMS),
        ({}, {"sub": "a" * 1025}, LoginFailure.CLAIMS),
        ({}, {"sub": "system:admin"}, LoginFailure.RESERVED_NAME),
        ({"username_prefix": "sys"}, {"sub": "tem:admin"}, LoginFailure.RESERVED_NAME),
        ({"groups_claim": "g"}, {"sub": "ann", "g": ["dev", "system:masters"]}, LoginFailure.RESERVED_NAME),
        ({"groups_claim": "g"}, {"sub": "ann", "g": "system:masters"}, LoginFailure.RESERVED_NAME),
        ({"groups_claim": "g"}, {"sub": "ann", "g": {"dev": 1}}, LoginFailure.CLAIMS),
        ({"groups_claim": "g"}, {"sub": "ann", "g": [["dev"]]}, LoginFailure.CLAIMS),
        ({"groups_claim": "g"}, {"sub": "ann", "g": ["dev"] * 1001}, LoginFailure.CLAIMS),
        ({"uid_claim": "oid"}, {"sub": "ann"}, LoginFailure.CLAIMS),
        ({"username_claim": "email"}, {"email": "a@b.c", "email_verified": False}, LoginFailure.CLAIMS),
        ({"username_claim": "email"}, {"email": "a@b.c", "email_verified": "true"}, LoginFailure.CLAIMS),
        ({}, {"sub": "ann", "jti": ["7"]}, LoginFailure.CLAIMS),
    ],
    ids=str,
)
def test_claims_that_make_no_user_are_refused(
    mappings: dict[str, str], claims: dict[str, Any], reason: LoginFailure
) -> None:
    with pytest.raises(LoginRefused) as raised:
        user_of(claims, issuer(mappings))
    assert raised.value.reason is reason


@pytest.mark.parametrize("claims", [{}, {"hd": "other"}, {"hd": ["example.com"]}, {"hd": "example.com "}], ids=str)
def test_required_claim_has_to_be_there_with_its_value(claims: dict[str, Any]) -> None:
    strict = issuer({}, {"hd": "example.com"})
    assert user_of({"sub": "ann", "hd": "example.com"}, strict).username == "ann"
    with pytest.raises(LoginRefused):
        user_of({"sub": "ann", **claims}, strict)
