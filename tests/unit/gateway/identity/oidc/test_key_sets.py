"""Which keys of an issuer may have signed a token, and which are passed over."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chandlery_gateway.identity.authenticators.oidc.key_sets import read_key_set

P256: dict[str, Any] = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
RSA: dict[str, Any] = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, "RS256 RS384 RS512 PS256 PS384 PS512"),
        ({**RSA, "alg": "PS256"}, "PS256"),
        ({**RSA, "use": "sig"}, "RS256 RS384 RS512 PS256 PS384 PS512"),
        (P256, "ES256"),
        ({**P256, "alg": "ES256"}, "ES256"),
        ({**P256, "alg": "RS256"}, ""),
    ],
    # Not the keys themselves: each process of the tests makes its own.
    ids=["RSA", "RSA for PS256", "RSA to sign", "P-256", "P-256 for ES256", "P-256 for RS256"],
)
def test_key_fits_the_algorithms_of_its_kind(key: dict[str, Any], algorithms: str) -> None:
    keys = read_key_set({"keys": [{**key, "kid": "1"}]})
    every = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "none", "EdDSA")
    assert [each for each in every if keys.candidates("1", each)] == algorithms.split()
    assert keys.candidates("2", "RS256") == []


def test_key_may_be_named_or_not() -> None:
    keys = read_key_set({"keys": [{**P256, "kid": "1"}, {**RSA, "kid": "2"}, P256]})
    assert len(keys.candidates("1", "ES256")) == 1
    assert len(keys.candidates(None, "ES256")) == 2


@pytest.mark.parametrize(
    "useless",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        {**RSA, "use": "enc"},
        {**RSA, "n": "AQAB"},
        {**RSA, "n": "A" * 100_000},
        {**RSA, "n": 7},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {**P256, "crv": "secp256k1"},
        OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True),
        "no object",
        None,
    ],
    ids=[
        "symmetric",
        "to encrypt",
        "short modulus",
        "long modulus",
        "modulus that is no text",
        "no modulus",
        "point not on the curve",
        "another curve",
        "Ed25519",
        "no object",
        "nothing",
    ],
)
def test_key_that_is_of_no_use_is_passed_over(useless: Any) -> None:
    assert len(read_key_set({"keys": [useless, P256]}).keys) == 1
    with pytest.raises(ValueError, match="no key that can be used"):
        read_key_set({"keys": [useless]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": [P256] * 101}], ids=lambda it: str(it)[:9])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="JWK set"):
        read_key_set(document)
