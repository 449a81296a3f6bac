"""The authenticators that the settings name, made when the gateway starts, and kept in step with their files.

Comes in: settings and the files that they name. Goes out: one authenticator for the pipeline. Whatever is wrong with
them is told with a sentence before anything else is done; later, what is wrong leaves the former version in use.
Called by: `http/listening.py`, for the check at the start and for the gateway that serves.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from chandlery.process.followed_files import FollowedFiles
from chandlery.process.http.http_server import is_loopback
from chandlery.settings.settings import Settings
from chandlery_gateway.identity.authentication import TokenVerifier
from chandlery_gateway.identity.authenticators.certificate_authenticator import CertificateAuthenticator
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer
from chandlery_gateway.identity.authenticators.oidc.oidc_flags import read_issuers
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator, read_users
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator

if TYPE_CHECKING:
    from chandlery_gateway.identity.authenticators.oidc.oidc_authenticator import OidcAuthenticator

_REMEDY: Final = (
    "use an identity provider (CHANDLERY_OIDC_ISSUER_URL), client certificates (CHANDLERY_CLIENT_CA_FILE) or tokens of "
    "service accounts (`chandlery token create`)"
)

log = structlog.get_logger(__name__)


class ConfiguredAuthenticators:
    """All of them."""

    def __init__(self, settings: Settings) -> None:
        """Read what they are made of; raises ConfigurationFault that names the setting, or the file and its place."""
        self._settings = settings
        self._token_files = _followed("the token file", settings.token_file)
        self._issuer_files = _followed(
            "the configuration of identity providers", settings.authentication_config, settings.oidc_ca_file
        )
        issuers = read_issuers(settings)
        self._tokens = TokenAuthenticator(
            read_users(settings.token, settings.token_file),
            is_only_way=not issuers and settings.client_ca_file is None,
        )
        self._oidc = self._oidc_of(issuers)

    def union(self, *further: TokenVerifier) -> UnionAuthenticator:
        """Them, and verifiers that need more than settings."""
        verifiers: list[TokenVerifier] = [self._tokens, *further]
        if self._oidc is not None:
            verifiers.append(self._oidc)
        certificates = CertificateAuthenticator() if self._settings.client_ca_file else None
        return UnionAuthenticator(certificates=certificates, verifiers=verifiers)

    async def follow(self) -> None:
        """Read files again when they change, and fetch the keys of issuers; ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            if self._token_files is not None:
                group.create_task(self._token_files.follow(self._reload_users))
            if self._issuer_files is not None:
                group.create_task(self._issuer_files.follow(self._reload_issuers))
            if self._oidc is not None:
                group.create_task(self._oidc.keep_keys())

    def _reload_users(self) -> None:
        self._tokens.replace(read_users(self._settings.token, self._settings.token_file))

    def _reload_issuers(self) -> None:
        issuers = read_issuers(self._settings)
        if self._oidc is not None:
            self._oidc.replace(issuers)

    def _oidc_of(self, issuers: Sequence[Issuer]) -> "OidcAuthenticator | None":
        if not issuers:
            return None
        from chandlery_gateway.identity.authenticators.oidc.oidc_authenticator import (  # noqa: PLC0415 - with JWT
            OidcAuthenticator,
        )

        return OidcAuthenticator(
            issuers, leeway=self._settings.oidc_clock_skew_seconds, allows_http=self._settings.oidc_allow_loopback_http
        )


def warn_of_static_tokens(settings: Settings) -> None:
    """Say so in the log if users have tokens that never expire."""
    if problem := static_token_problem(settings):
        log.warning(": ".join(problem), action="check_static_tokens")


def static_token_problem(settings: Settings) -> tuple[str, str] | None:
    """Which tokens of users never expire, and what helps; None without. On loopback it is that of a first start."""
    names: Sequence[str] = [
        *(["CHANDLERY_TOKEN_FILE"] if settings.token_file else []),
        *(["CHANDLERY_TOKEN"] if settings.token and not is_loopback(settings.host) else []),
    ]
    if not names:
        return None
    verb = "do" if settings.token_file else "does"
    what = "tokens" if settings.token_file else "token"
    return f"the static {what} of {' and '.join(names)} {verb} not expire", _REMEDY


def _followed(what: str, *paths: Path | None) -> FollowedFiles | None:
    given = [path for path in paths if path is not None]
    return FollowedFiles(what, given) if given else None
