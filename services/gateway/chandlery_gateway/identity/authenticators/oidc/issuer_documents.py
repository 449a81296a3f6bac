"""Fetches what an issuer publishes: its OpenID configuration (OpenID Connect Discovery 1.0) and its JWK set.

Over HTTPS with a verified certificate, following no redirect, and no more of it than such documents need.
"""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from chandlery.model.json.json_text import NotJson, has_more_values, read_json
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer, is_secure
from chandlery_gateway.identity.authenticators.oidc.key_sets import KeySet, NoUsableKey, read_key_set

_MOST_BYTES: Final = 256 * 1024
_MOST_VALUES: Final = 10_000
_SECONDS: Final = 10.0
_OK: Final = 200


class IssuerSilent(Exception):
    """The issuer cannot be asked, or its answer cannot be used; the message says why, after "cannot be fetched"."""


class KeysWithdrawn(IssuerSilent):
    """The issuer says that it has no key that can be used: what it had before is trusted no more."""


async def fetch_keys(issuer: Issuer, *, allows_http: bool) -> KeySet:
    """The issuer's keys. Raises IssuerSilent, KeysWithdrawn."""
    connector = aiohttp.TCPConnector(ssl=_trust(issuer))
    limit = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=True) as session:
        configuration = await _document(session, issuer.configuration_url)
        named = configuration.get("issuer") if isinstance(configuration, dict) else None
        if named != issuer.url:
            raise IssuerSilent(f"{issuer.configuration_url} is the OpenID configuration of another issuer")
        place = configuration.get("jwks_uri")
        if not isinstance(place, str) or not _is_safe(place, allows_http=allows_http):
            raise IssuerSilent(f"jwks_uri in {issuer.configuration_url} is not an https URL")
        document = await _document(session, place)
    try:
        return read_key_set(document)
    except NoUsableKey as error:
        raise KeysWithdrawn(str(error)) from None
    except ValueError as error:
        raise IssuerSilent(str(error)) from None


async def _document(session: aiohttp.ClientSession, url: str) -> Any:
    why = ""
    try:
        async with session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response:
            if response.status != _OK:
                raise IssuerSilent(f"{url} answered {response.status}")
            body = await _body(response, url)
        if has_more_values(body, _MOST_VALUES):
            raise IssuerSilent(f"{url} answered with more than {_MOST_VALUES} values")
        return read_json(body)
    except NotJson:
        why = "answered with something that is not JSON"
    except TimeoutError:
        why = f"did not answer within {_SECONDS:.0f} s"
    except aiohttp.ClientConnectorCertificateError as error:
        why = f"has a certificate that is not trusted ({_verdict(error.certificate_error)})"
    except aiohttp.ClientConnectorError as error:
        why = f"cannot be reached ({error.os_error.strerror or type(error.os_error).__name__})"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        why = f"could not be read ({type(error).__name__})"
    raise IssuerSilent(f"{url} {why}")


async def _body(response: aiohttp.ClientResponse, url: str) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise IssuerSilent(f"{url} answered with more than {_MOST_BYTES} bytes")
    return b"".join(parts)


def _is_safe(url: str, *, allows_http: bool) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and is_secure(parts, parts.hostname or "", allows_http=allows_http)
    except ValueError:
        return False


def _trust(issuer: Issuer) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=issuer.authorities or None)


def _verdict(error: Exception) -> str:
    return str(getattr(error, "verify_message", "")) or type(error).__name__
