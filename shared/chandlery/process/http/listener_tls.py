"""What a listener shows over TLS, and whom it asks for certificates: connections take `context` as they begin.

`tls_files` reads a certificate and its key from files. `MadeTls` is given them, and later others in their place, by
whoever makes certificates.
"""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from cryptography import x509

from chandlery.model.faults import ConfigurationFault
from chandlery.osb.transport.tls_trust import load_pair
from chandlery.process.http.presented_certificates import PresentedCertificate, ask_for_certificates

Judge = Callable[[PresentedCertificate], bool]
"""Whether somebody vouches for a certificate."""


class ListenerTls(Protocol):
    """The certificate of a listener, and the authorities of its clients."""

    @property
    def context(self) -> ssl.SSLContext:
        """For connections that begin now."""

    @property
    def ends_at(self) -> datetime:
        """When the certificate in use is valid no more."""

    def on_new_authorities(self, do: Callable[[Judge], None]) -> None:
        """Have this done whenever others vouch for clients: whose certificate is not good then has to begin anew."""

    def trust(self, authorities: str, *, is_good: Judge) -> None:
        """From now on clients are asked for a certificate of these, in PEM; of none if it is empty.

        Connections with a certificate that `is_good` stay. Raises ConfigurationFault, and goes on with the old ones.
        """


class MadeTls:
    """See ListenerTls: of a certificate that no file holds."""

    def __init__(self, chain: str, key: str) -> None:
        """The certificate, those of its issuers behind it, and its key, in PEM. Raises ConfigurationFault."""
        self._pair = (chain, key)
        self._authorities = ""
        self._on_new_authorities: list[Callable[[Judge], None]] = []
        self.ends_at = datetime.now(UTC)
        """See ListenerTls."""
        self.context = self._made(self._pair, "")

    def show(self, chain: str, key: str) -> None:
        """Show these to connections to come. Raises ConfigurationFault, and goes on with the old ones."""
        self.context = self._made((chain, key), self._authorities)
        self._pair = (chain, key)

    def trust(self, authorities: str, *, is_good: Judge) -> None:
        """See ListenerTls."""
        self.context = self._made(self._pair, authorities)
        self._authorities = authorities
        for do in self._on_new_authorities:
            do(is_good)

    def on_new_authorities(self, do: Callable[[Judge], None]) -> None:
        """See ListenerTls."""
        self._on_new_authorities.append(do)

    def _made(self, pair: tuple[str, str], authorities: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            chain, key = pair
            load_pair(context, chain.encode(), key.encode())
            ends_at = x509.load_pem_x509_certificates(chain.encode())[0].not_valid_after_utc
        except (OSError, ValueError) as error:
            # Without its words, which could be about the key.
            raise ConfigurationFault("the certificate that was made for the listener cannot be used") from error
        if authorities:
            ask_for_certificates(context, authorities, source=AUTHORITIES, partial_chains=True)
        self.ends_at = ends_at
        return context


AUTHORITIES: Final = "the authorities of client certificates"
