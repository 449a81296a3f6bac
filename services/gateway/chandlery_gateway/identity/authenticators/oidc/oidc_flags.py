"""The one issuer that settings describe by themselves: they are kube-apiserver's flags `--oidc-*` and mean the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.authentication_settings import AuthenticationSettings
from chandlery_gateway.identity.authenticators.oidc.authentication_configuration import read_configuration
from chandlery_gateway.identity.authenticators.oidc.issuers import (
    ALGORITHMS,
    EMAIL,
    ClaimMappings,
    Issuer,
    prefix_problems,
    url_problems,
)

_NO_PREFIX: Final = "-"
_NEED_ISSUER: Final = (
    "oidc_client_id",
    "oidc_username_prefix",
    "oidc_groups_claim",
    "oidc_groups_prefix",
    "oidc_required_claims",
    "oidc_ca_file",
)


def read_issuers(settings: AuthenticationSettings) -> Sequence[Issuer]:
    """All issuers that are configured, in a file or one by settings. Raises ConfigurationFault with the setting."""
    allows_http = settings.oidc_allow_loopback_http
    if settings.oidc_issuer_url and settings.authentication_config:
        raise ConfigurationFault(
            "CHANDLERY_OIDC_ISSUER_URL and CHANDLERY_AUTHENTICATION_CONFIG cannot be combined: put the issuer into the "
            "file"
        )
    if settings.authentication_config:
        issuers = read_configuration(settings.authentication_config, allows_http=allows_http)
        for issuer in issuers:
            _check_authorities(issuer.authorities, f"a certificateAuthority in {settings.authentication_config}")
        return issuers
    if settings.oidc_issuer_url:
        return [_issuer(settings, allows_http=allows_http)]
    for name in _NEED_ISSUER:
        if getattr(settings, name):
            raise ConfigurationFault(f"CHANDLERY_{name.upper()} needs CHANDLERY_OIDC_ISSUER_URL")
    return []


def _issuer(settings: AuthenticationSettings, *, allows_http: bool) -> Issuer:
    url = settings.oidc_issuer_url
    for problem in url_problems(url, allows_http=allows_http):
        raise ConfigurationFault(f"CHANDLERY_OIDC_ISSUER_URL {problem}")
    if not settings.oidc_client_id:
        raise ConfigurationFault(
            "CHANDLERY_OIDC_ISSUER_URL needs CHANDLERY_OIDC_CLIENT_ID: the audience that tokens must be for"
        )
    prefix = settings.oidc_username_prefix
    if not prefix and settings.oidc_username_claim != EMAIL:
        prefix = f"{url}#"
    mappings = ClaimMappings(
        username_claim=settings.oidc_username_claim,
        username_prefix="" if prefix == _NO_PREFIX else prefix,
        groups_claim=settings.oidc_groups_claim,
        groups_prefix=settings.oidc_groups_prefix,
    )
    for name, each in (("USERNAME", mappings.username_prefix), ("GROUPS", mappings.groups_prefix)):
        for problem in prefix_problems(each):
            raise ConfigurationFault(f"CHANDLERY_OIDC_{name}_PREFIX {problem}")
    return Issuer(
        url=url,
        audiences=frozenset({settings.oidc_client_id}),
        algorithms=_algorithms(settings.oidc_signing_algs),
        authorities=_authorities(settings.oidc_ca_file),
        mappings=mappings,
        required=_required(settings.oidc_required_claims),
    )


def _algorithms(text: str) -> frozenset[str]:
    algorithms = frozenset(word.strip() for word in text.split(",") if word.strip())
    if wrong := sorted(algorithms - ALGORITHMS):
        raise ConfigurationFault(
            f"CHANDLERY_OIDC_SIGNING_ALGS: {', '.join(wrong)} is not allowed; the algorithms are "
            f"{', '.join(sorted(ALGORITHMS))}"
        )
    if not algorithms:
        raise ConfigurationFault("CHANDLERY_OIDC_SIGNING_ALGS names no algorithm")
    return algorithms


def _required(text: str) -> dict[str, str]:
    required: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        claim, equals, value = pair.partition("=")
        if not claim or not equals or claim in required:
            raise ConfigurationFault(
                "CHANDLERY_OIDC_REQUIRED_CLAIMS must be claim=value, separated by commas, each claim once"
            )
        required[claim] = value
    return required


def _authorities(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationFault(f"CHANDLERY_OIDC_CA_FILE {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationFault(f"CHANDLERY_OIDC_CA_FILE {path} contains no readable PEM certificate") from error
    if not text.strip():
        raise ConfigurationFault(f"CHANDLERY_OIDC_CA_FILE {path} contains no readable PEM certificate")
    _check_authorities(text, f"CHANDLERY_OIDC_CA_FILE {path}")
    return text


def _check_authorities(pem: str, place: str) -> None:
    if not pem:
        return
    try:
        load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ConfigurationFault(f"{place} contains no readable PEM certificate") from error
