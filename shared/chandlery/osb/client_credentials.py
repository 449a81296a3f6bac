"""What a platform proves its identity with to a service broker beside HTTP's own schemes: a certificate, or OAuth 2.0.

All of it comes from Secrets, anew for each call, and none of it shows in a repr.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate with its chain, and its key, from a Secret of the type `kubernetes.io/tls`. Both are PEM."""

    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Tells one pair from another: connections made with an older one are not used any more."""
        return hashlib.sha256(self.certificate_pem + b"\0" + self.key_pem).hexdigest()


@dataclass(frozen=True)
class OAuth2Client:
    """Client credentials of OAuth 2.0 (RFC 6749, section 4.4), which are exchanged for a token before a call."""

    token_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    in_body: bool = False
    """`client_secret_post` instead of `client_secret_basic`."""
    ca_bundle: str | None = None
    """Of the token endpoint; base64 of PEM."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no word of the broker, or of the token endpoint, may repeat."""
        return (self.client_secret, f"{self.client_id}:{self.client_secret}")

    @cached_property
    def fingerprint(self) -> str:
        """Tells by what a token was got; another Secret gets another."""
        parts = (self.token_url, self.client_id, self.client_secret, *self.scopes, self.audience or "", self.in_body)
        return hashlib.sha256(repr(parts).encode()).hexdigest()
