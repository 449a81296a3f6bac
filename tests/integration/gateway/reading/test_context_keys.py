"""The public keys of signed contexts, which brokers fetch without a token."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from tests.integration.gateway.conftest import Running, serving

PATH = "/.well-known/chandlery/context-keys"
"""Part of the interface: brokers have it in their configuration."""


async def test_keys_are_public_and_their_private_halves_are_not(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    key = ed25519.Ed25519PrivateKey.generate()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings = Settings(
        database_url=SecretStr(sqlite_url),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token=SecretStr("0123456789abcdef0123"),
        port=0,
        context_signing_key_file=file,
    )
    async with serving(settings) as running, running.session.get(PATH) as response:
        assert response.status == 200
        assert response.content_type == "application/jwk-set+json"
        (published,) = (await response.json())["keys"]
        assert set(published) == {"kty", "crv", "x", "alg", "use", "kid"}


@pytest.mark.asyncio(loop_scope="session")
async def test_platform_without_keys_has_none_to_show(gateway: Running) -> None:
    async with gateway.session.get(PATH) as response:
        assert (response.status, (await response.json())["message"]) == (404, "this platform signs no contexts")
