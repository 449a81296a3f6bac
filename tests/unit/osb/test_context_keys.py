"""The file of keys for signed contexts: read again when it changes, refused in a sentence, published as public keys."""

import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from chandlery.model.faults import ConfigurationFault
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.operations.instance_calls import DeprovisionRequest, ProvisionRequest
from chandlery.osb.signing.context_keys import ContextKeys
from chandlery.osb.signing.context_signer import ContextSigner

FIRST, SECOND = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
NONE = NoEncryption()
IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
CONTEXT = {"platform": "kubernetes", "namespace": "n", "clusterid": "c", "instance_name": "db"}
PUT = ProvisionRequest(**IDS, organization_guid="o", space_guid="s", context=CONTEXT, parameters=None)
WANTS = BrokerEndpoint(url="https://ann:pw@broker.example.com/base/", signs_context=True)


def pem(
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption = NONE,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_all_keys_are_published_and_the_first_private_one_signs(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(b"# the next one\n" + public_pem(SECOND) + pem(FIRST))
    keys = ContextKeys(file)
    published = keys.published()["keys"]
    assert [key["alg"] for key in published] == ["EdDSA", "EdDSA"]
    assert all(set(key) == {"kty", "crv", "x", "alg", "use", "kid"} for key in published)
    signing = keys.signing()
    assert signing is not None
    assert signing.key_id == published[1]["kid"]
    assert "PRIVATE" not in repr(signing)


def test_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = tmp_path / "keys.pem"
    file.write_bytes(pem(FIRST))
    keys = ContextKeys(file)
    (first,) = keys.published()["keys"]
    for text, expected in ((pem(SECOND) + pem(FIRST), 2), (b"nonsense", 2), (public_pem(FIRST), 1)):
        file.write_bytes(text)
        now[0] += 60
        assert len(keys.published()["keys"]) == expected
    assert keys.published()["keys"] == [first]
    assert keys.signing() is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "must hold 1 to 20 keys"),
        (pem(FIRST) * 21, "must hold 1 to 20 keys"),
        (pem(FIRST, BestAvailableEncryption(b"hunter2")), "key 1 in"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "must be an Ed25519 or RSA key"),
        (pem(rsa.generate_private_key(65537, 1024)), "must have 2048 to 8192 bits"),
        (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "cannot be read"),
    ],
)
def test_file_that_cannot_be_used_is_told_without_its_text(tmp_path: Path, text: bytes, words: str) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(text)
    with pytest.raises(ConfigurationFault) as caught:
        ContextKeys(file)
    assert caught.value.message.startswith("CHANDLERY_CONTEXT_SIGNING_KEY_FILE")
    assert words in caught.value.message
    assert "c2VjcmV0" not in caught.value.message


def test_signature_says_what_for_and_is_the_same_each_time(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(pem(FIRST))
    signer = ContextSigner(ContextKeys(file), issuer="c")
    signed = signer.signed(PUT, WANTS)
    assert signed == signer.signed(PUT, WANTS)
    assert signer.signed(signed, WANTS) is signed
    token = signed.context["signature"]
    claims = jwt.decode(token, FIRST.public_key(), algorithms=["EdDSA"], audience="https://broker.example.com/base")
    assert claims == {
        "iss": "c",
        "aud": "https://broker.example.com/base",
        "sub": "i",
        "context": CONTEXT,
    }
    assert jwt.get_unverified_header(token)["typ"] == "osb-context+jwt"
    assert "pw" not in json.dumps(claims)


def test_signature_tells_an_older_broker_nothing_that_its_version_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(pem(FIRST))
    old = BrokerEndpoint(url="https://b", signs_context=True, api_version="2.13")
    signed = ContextSigner(ContextKeys(file), issuer="c").signed(PUT, old)
    claims = jwt.decode(signed.context["signature"], FIRST.public_key(), algorithms=["EdDSA"], audience="https://b")
    assert claims["context"] == {"platform": "kubernetes", "namespace": "n"}
    oldest = BrokerEndpoint(url="https://b", signs_context=True, api_version="2.11")
    assert ContextSigner(ContextKeys(file)).signed(PUT, oldest) is PUT


def test_what_has_no_context_or_wants_no_signature_is_left_as_it_is() -> None:
    signer = ContextSigner()
    delete = DeprovisionRequest(**IDS)
    assert signer.signed(delete, WANTS) is delete
    assert signer.signed(PUT, None) is PUT
    assert signer.signed(PUT, BrokerEndpoint(url="https://b")) is PUT
    assert signer.signed(None, WANTS) is None
