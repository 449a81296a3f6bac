"""Where a service broker is and how to prove who we are. Workers build one from a broker's spec and its Secret."""

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from yarl import URL

from chandlery.osb.client_credentials import ClientCertificate, OAuth2Client
from chandlery.osb.faults import Misconfigured
from chandlery.reconcile.egress.egress_rules import NO_RULES, EgressRules, parse_rules
from chandlery.reconcile.operation.version_matrix import NEWEST

API_VERSION: Final = NEWEST
"""The newest version of OSB that we speak, and the default."""
SCHEMES = ("http", "https")


@dataclass(frozen=True)
class BasicAuth:
    """HTTP Basic, the scheme of OSB v2.17, "Authentication"."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @cached_property
    def header(self) -> str:
        """Value of `Authorization`; UTF-8, as RFC 7617 recommends."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True)
class BearerAuth:
    """An opaque token, by agreement with the broker."""

    token: str = field(repr=False)

    @cached_property
    def header(self) -> str:
        """Value of `Authorization`. Surrounding white space goes: Secrets often end in a newline.

        Raises:
            Misconfigured: the token holds characters that no header can carry.
        """
        token = self.token.strip()
        if not (token.isascii() and token.isprintable()):
            raise Misconfigured("the broker's token holds characters that are not allowed in a header")
        return f"Bearer {token}"


@dataclass(frozen=True, slots=True)
class Tenancy:
    """A broker that belongs to a namespace: whoever registered it may be kept from places that others may call.

    Nothing is shared with brokers of other namespaces: no connection, no token, no turn to look names up.
    """

    namespace: str = ""
    allow: EgressRules = NO_RULES
    deny: EgressRules = NO_RULES


NOWHERE: Final = Tenancy(deny=parse_rules("0.0.0.0/0 ::/0 *"))
"""A broker that may be called at no place."""

Authorization = BasicAuth | BearerAuth | OAuth2Client


class SessionKey(NamedTuple):
    """Endpoints with equal keys share connections. What travels with each request is no part."""

    base: str
    ca_bundle: str | None
    skip_tls_verify: bool
    client_certificate: ClientCertificate | None = None
    tenancy: Tenancy | None = None


@dataclass(frozen=True, repr=False)
class BrokerEndpoint:
    """One service broker.

    `ca_bundle` is base64 of PEM text and replaces the system's roots; `timeout_seconds` bounds a whole call, from
    waiting for a connection to the last byte of the answer (OSB v2.17 speaks of about 60). User and password in the
    URL count only if there is no `authorization`.
    """

    url: str
    ca_bundle: str | None = None
    skip_tls_verify: bool = False
    authorization: Authorization | None = None
    timeout_seconds: float = 60.0
    api_version: str = API_VERSION
    """`X-Broker-API-Version`; older ones for brokers that take no newer. Nothing that it does not know is sent."""
    client_certificate: ClientCertificate | None = None
    """Shown in the TLS handshake; beside any `authorization`."""
    tenancy: Tenancy | None = None
    """None for a broker that only operators can register."""
    signs_context: bool = False
    """Whether the context of requests has a signature; see `osb/signing/`."""
    broker: str = ""
    """What the broker is called, to tell it apart: `namespace/name`, or the name alone of a cluster-wide one."""

    def __repr__(self) -> str:
        return f"BrokerEndpoint({self.place})"

    @cached_property
    def base(self) -> str:
        """URL to put `/v2/...` behind: encoded, path prefix kept, no user, no trailing slash.

        Raises:
            Misconfigured: it is no absolute http or https URL.
        """
        url = self._parsed
        if url is None or url.scheme not in SCHEMES or not url.raw_host:
            # The URL itself is not repeated: there may be a password in it.
            raise Misconfigured("the broker's URL is not an absolute http or https URL")
        return str(url.with_user(None).with_query(None).with_fragment(None)).rstrip("/")

    @cached_property
    def place(self) -> str:
        """`host:port`, for people."""
        url = self._parsed
        return f"{url.host}:{url.port}" if url is not None and url.host else "(no host)"

    @cached_property
    def authorization_header(self) -> str | None:
        """Value of `Authorization`, if there is one. That of OAuth 2.0 has to be got first; see `osb/tokens/`.

        Raises:
            Misconfigured: it cannot be sent.
        """
        if isinstance(self.authorization, OAuth2Client):
            return None
        if self.authorization is not None:
            return self.authorization.header
        url = self._parsed
        if url is None or url.user is None:
            return None
        return BasicAuth(url.user, url.password or "").header

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no word of the broker may repeat; with base64 of user and password, as they stand in the header.

        The key of a client certificate is not among them: it is used, and never sent.
        """
        auth = self.authorization
        if isinstance(auth, BearerAuth):
            return (auth.token,)
        if isinstance(auth, OAuth2Client):
            return auth.secrets
        if auth is None:
            url = self._parsed
            auth = BasicAuth(url.user, url.password or "") if url is not None and url.user else None
        return (auth.password, f"{auth.username}:{auth.password}") if auth else ()

    @cached_property
    def sends_credentials(self) -> bool:
        """Whether whoever listens on the way could learn something to call the broker with."""
        url = self._parsed
        return self.authorization is not None or (url is not None and url.user is not None)

    @property
    def access_fingerprint(self) -> str:
        """All that it proves its identity with, as one text: secret, and another one when anything of it changes.

        Raises:
            Misconfigured: it cannot be sent.
        """
        client = self.authorization.fingerprint if isinstance(self.authorization, OAuth2Client) else ""
        certificate = self.client_certificate.fingerprint if self.client_certificate else ""
        return "/".join(filter(None, (self.authorization_header or "", client, certificate)))

    @property
    def session_key(self) -> SessionKey:
        """What connections depend on.

        Raises:
            Misconfigured: see `base`.
        """
        return SessionKey(self.base, self.ca_bundle, self.skip_tls_verify, self.client_certificate, self.tenancy)

    @cached_property
    def _parsed(self) -> URL | None:
        try:
            return URL(self.url.strip())
        except (ValueError, IndexError):  # the latter for brackets before "@" and no host behind it
            return None
