"""What is configured of an identity provider: where its keys are, for whom its tokens are, what their claims mean.

Comes from `authentication_configuration` (a file) or `oidc_flags` (settings). Pure. The rules are those of Kubernetes:
"Authenticating", section "Authentication configuration from a file", and the flags `--oidc-*` of kube-apiserver.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from chandlery.process.http.http_server import is_loopback

RESERVED: Final = "system:"
"""Users and groups of ours begin so, `system:masters` among them; no identity provider makes one."""
ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"})
"""All that there are with a public key. With `none` or `HS256` anybody could sign who knows what everybody may know."""
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
EMAIL: Final = "email"


@dataclass(frozen=True, kw_only=True)
class ClaimMappings:
    """What a token's claims say of a user."""

    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    """Empty: nobody has groups."""
    groups_prefix: str = ""
    uid_claim: str = ""
    """Empty: nobody has a uid."""


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """One identity provider."""

    url: str
    audiences: frozenset[str]
    """A token is taken if it is for one of them."""
    discovery_url: str = ""
    """Where its OpenID configuration is, if not where the specification says."""
    algorithms: frozenset[str] = ALGORITHMS
    authorities: str = field(default="", repr=False)
    """PEM certificates to verify its own with; empty for those of the system."""
    mappings: ClaimMappings = ClaimMappings()
    required: Mapping[str, str] = field(default_factory=dict)
    """Claims that a token has to have, with these values."""

    @property
    def configuration_url(self) -> str:
        """Where its OpenID configuration is."""
        return self.discovery_url or self.url.rstrip("/") + DISCOVERY_PATH


def url_problems(url: str, *, allows_http: bool) -> Iterator[str]:
    """What keeps an address of an issuer from being used. Plain http is for tests on loopback, and only if allowed."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        yield "is no URL"
        return
    if not is_secure(parts, host, allows_http=allows_http):
        yield "must begin with https://"
    if not host:
        yield "names no host"
    if parts.username is not None or parts.password is not None:
        yield "must not contain a user name"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        yield "must not contain ? or #"


def is_secure(parts: SplitResult, host: str, *, allows_http: bool) -> bool:
    """Whether nobody on the way can answer in place of whom the address names."""
    return parts.scheme == "https" or (allows_http and parts.scheme == "http" and is_loopback(host))


def prefix_problems(prefix: str) -> Iterator[str]:
    """What keeps a prefix from being put before names."""
    if prefix.startswith(RESERVED):
        yield f"must not begin with {RESERVED}, which is how the names of Chandlery's own users and groups begin"
    if not prefix.isprintable():
        yield "must consist of printable characters"
