"""Contexts that a broker can verify: with the published keys, through rotations, and word for word when repeated."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chandlery.osb.signing import context_keys
from chandlery.osb.signing.context_keys import ContextKeys
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, SeenRequest
from tests.integration.workers.fleet import BINDING, INSTANCE, Fleet, Process, binding, instance
from tests.support.waiting import SOON

LEASE_SECONDS = 10.0


def private(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def keys_in(path: Path, *keys: bytes) -> Path:
    path.write_bytes(b"".join(keys))
    return path


def verified(request: SeenRequest, file: Path, *, audience: str) -> dict[str, Any]:
    """The claims of the request's signature, by the keys that are published for this file."""
    assert request.body is not None
    token = request.body["context"]["signature"]
    published = jwt.PyJWKSet.from_dict(ContextKeys(file).published())
    key = published[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["EdDSA", "RS256"], audience=audience, issuer="cluster-1")


@pytest.fixture
async def scripted(fleet: Fleet) -> AsyncIterator[ScriptedBroker]:
    """A broker that wants signed contexts, whose class `db` is known to the fleet."""
    async with ScriptedBroker(credentials={"uri": "tcp://rope"}) as broker:
        await fleet.offer("db", broker.url, signed_context=True)
        yield broker


@pytest.mark.parametrize("kind", ["Ed25519", "RSA"])
async def test_broker_verifies_the_context_of_provision_and_bind(
    fleet: Fleet, scripted: ScriptedBroker, tmp_path: Path, kind: str
) -> None:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else rsa.generate_private_key(65537, 2048)
    file = keys_in(tmp_path / "keys.pem", private(key))
    await fleet.worker("ServiceInstance", "ServiceBinding", context_signing_key_file=file)
    await fleet.create(instance("one", "db"), binding("one"))
    await fleet.until_ready(BINDING, "one")
    (provision,), (bind,) = scripted.seen_of(osb.PROVISION), scripted.seen_of(osb.BIND)
    for request in (provision, bind):
        claims = verified(request, file, audience=scripted.url)
        assert request.body is not None
        sent = dict(request.body["context"])
        del sent["signature"]
        assert claims["context"] == sent
        assert claims["sub"] in request.raw_path
        assert "exp" not in claims
    assert "binding_id" in verified(bind, file, audience=scripted.url)


async def test_what_is_repeated_has_the_signature_it_had_whatever_the_key_is_by_then(
    fleet: Fleet, scripted: ScriptedBroker, tmp_path: Path
) -> None:
    old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    before = keys_in(tmp_path / "before.pem", private(old))
    after = keys_in(tmp_path / "after.pem", private(new), public(old))
    dying = await fleet.worker("ServiceInstance", context_signing_key_file=before)
    answered = answers_into_the_void(scripted, dying)
    await fleet.create(instance("one", "db"))
    async with asyncio.timeout(SOON):
        await answered.wait()
    await dying.kill()
    successor = await fleet.worker("ServiceInstance", context_signing_key_file=after)
    fleet.clock.advance(LEASE_SECONDS + 1)
    await successor.sweep().once()
    await fleet.until_ready(INSTANCE, "one")
    first, second = scripted.seen_of(osb.PROVISION)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    # The old key is published still.
    assert verified(second, after, audience=scripted.url)["sub"]


async def test_request_is_not_sent_without_the_signature_that_its_broker_wants(
    fleet: Fleet, scripted: ScriptedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_keys, "_LOOK_AGAIN", 0.0)
    key = ed25519.Ed25519PrivateKey.generate()
    file = keys_in(tmp_path / "keys.pem", public(key))
    worker = await fleet.worker("ServiceInstance", context_signing_key_file=file)
    await fleet.create(instance("one", "db"))
    await fleet.until_condition(INSTANCE, "one", ("False", "ErrorCallingProvision"))
    found = await fleet.find(INSTANCE, "one")
    assert "CHANDLERY_CONTEXT_SIGNING_KEY_FILE" in str(found.status.conditions)
    assert scripted.seen_of(osb.PROVISION) == []
    # As soon as there is a key, the next try is signed.
    keys_in(file, private(key))
    fleet.clock.advance(LEASE_SECONDS + 1)
    await worker.sweep().once()
    await fleet.until_ready(INSTANCE, "one")
    assert verified(scripted.seen_of(osb.PROVISION)[0], file, audience=scripted.url)


def answers_into_the_void(scripted: ScriptedBroker, dying: Process) -> asyncio.Event:
    """The next provision reaches the broker, and its answer nobody."""
    answered = asyncio.Event()

    def reply(_seen: SeenRequest) -> Reply:
        dying.database.is_dead = True
        answered.set()
        return Reply(201, {})

    scripted.script(osb.PROVISION, reply)
    return answered
