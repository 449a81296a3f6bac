"""An identity provider in a process of its own, as tests need one: it signs what it is told to, and fails as told.

`python oidc_issuer.py FOLDER` serves on a free port over TLS, writes `ca.crt` into the folder and prints its URL.
`LocalIssuer` starts it and speaks to it. Its keys, documents and signatures are those of any provider.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, create_default_context
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE: Final = "chandlery"
_HUGE: Final = 2 * 1024 * 1024


class _Issuer:
    """What the process serves."""

    def __init__(self) -> None:
        self.url = ""
        self.mode = "ok"
        self.hits = 0
        self._rsa = rsa.generate_private_key(65537, 2048)
        self._stranger = ec.generate_private_key(ec.SECP256R1())
        self._number = 0
        self._current: Any = None
        self._published: list[dict[str, Any]] = []
        self.rotate(keeps_old=False)

    def rotate(self, *, keeps_old: bool) -> None:
        """Sign with a new key from now on."""
        self._number += 1
        self._current = ec.generate_private_key(ec.SECP256R1())
        fixed = {
            **RSAAlgorithm.to_jwk(self._rsa.public_key(), as_dict=True),
            "kid": "rsa",
            "use": "sig",
            "alg": "RS256",
        }
        new = {**ECAlgorithm.to_jwk(self._current.public_key(), as_dict=True), "kid": self._kid, "use": "sig"}
        kept = [key for key in self._published if key["kid"] != "rsa"] if keeps_old else []
        self._published = [fixed, *kept, new]

    @property
    def _kid(self) -> str:
        return f"key-{self._number}"

    def sign(self, asked: Mapping[str, Any]) -> str:
        """A token with these claims; `by` says which key, and what is wrong with the signature."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600, **asked["claims"]}
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"kid": self._kid, **asked["header"]}
        header = {name: value for name, value in header.items() if value is not None}
        match asked["by"]:
            case "rsa":
                return jwt.encode(claims, self._rsa, algorithm="RS256", headers={**header, "kid": "rsa"})
            case "stranger":
                return jwt.encode(claims, self._stranger, algorithm="ES256", headers=header)
            case "none":
                return jwt.encode(claims, "", algorithm="none", headers=header)
            case "public key as secret":
                public = self._rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                return _mac(claims, {**header, "alg": "HS256", "typ": "JWT", "kid": "rsa"}, public)
        return jwt.encode(claims, self._current, algorithm="ES256", headers=header)

    async def configuration(self, _request: web.Request) -> web.StreamResponse:
        """OpenID Connect Discovery."""
        self.hits += 1
        match self.mode:
            case "down":
                return web.Response(status=503)
            case "hang":
                await asyncio.sleep(3600)
            case "garbage":
                return web.Response(text="<html>")
            case "huge":
                return web.Response(body=b" " * _HUGE)
            case "redirect":
                return web.Response(status=302, headers={"Location": f"{self.url}/elsewhere"})
            case "another":
                return web.json_response({"issuer": "https://another.example", "jwks_uri": f"{self.url}/keys"})
            case "plain keys":
                return web.json_response({"issuer": self.url, "jwks_uri": "http://192.0.2.1/keys"})
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def keys(self, _request: web.Request) -> web.StreamResponse:
        """The JWK set, with some that are of no use."""
        useless = [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "RSA", "kid": "broken"}, "no key"]
        return web.json_response({"keys": useless if self.mode == "no keys" else [*useless, *self._published]})

    async def control(self, request: web.Request) -> web.StreamResponse:
        """What tests ask for."""
        asked = await request.json()
        match request.match_info["what"]:
            case "sign":
                return web.Response(text=self.sign(asked))
            case "rotate":
                self.rotate(keeps_old=asked["keeps_old"])
            case "mode":
                self.mode = asked["mode"]
        return web.Response(text=str(self.hits))


def _mac(claims: Mapping[str, Any], header: Mapping[str, Any], secret: bytes) -> str:
    """What no library signs any more: a MAC whose secret is a public key."""
    import base64  # noqa: PLC0415 - of this trick alone
    import hmac  # noqa: PLC0415

    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = base64.urlsafe_b64encode(hmac.digest(secret, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join((*parts, signature)).decode()


async def _serve(folder: Path) -> None:
    from chandlery.process.http.tls_files import self_signed  # noqa: PLC0415 - of the process alone

    certificate, key = self_signed("127.0.0.1")
    (folder / "ca.crt").write_text(certificate)
    (folder / "issuer.key").write_text(key)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "issuer.key")
    issuer, app = _Issuer(), web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.configuration)
    app.router.add_get("/keys", issuer.keys)
    app.router.add_post("/control/{what}", issuer.control)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    issuer.url = f"https://127.0.0.1:{port}"
    sys.stdout.write(f"{issuer.url}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


class LocalIssuer:
    """The process as tests see it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.ca_file = folder / "ca.crt"
        self._trust = create_default_context(cafile=str(self.ca_file))

    def token(self, *, by: str = "current", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A signed token; None as the value of a claim leaves it out. For `by` see `_Issuer.sign`."""
        return self._control("sign", {"claims": claims, "header": header or {}, "by": by})

    def rotate(self, *, keeps_old: bool = True) -> None:
        """Sign with a new key, and go on publishing the old ones or not."""
        self._control("rotate", {"keeps_old": keeps_old})

    def become(self, mode: str) -> None:
        """Answer so from now on: `ok` again, or one of the modes of `_Issuer.configuration` and `keys`."""
        self._control("mode", {"mode": mode})

    @property
    def hits(self) -> int:
        """How often its configuration was asked for."""
        return int(self._control("hits", {}))

    def _control(self, what: str, body: Mapping[str, Any]) -> str:
        request = urllib.request.Request(f"{self.url}/control/{what}", json.dumps(body).encode())
        with urllib.request.urlopen(request, context=self._trust, timeout=60) as response:
            text: str = response.read().decode()
            return text


@contextmanager
def local_issuer(folder: Path) -> Iterator[LocalIssuer]:
    """A running one."""
    command = [sys.executable, "-m", "tests.support.oidc_issuer", str(folder)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the issuer has not started"
            yield LocalIssuer(url, folder)
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
