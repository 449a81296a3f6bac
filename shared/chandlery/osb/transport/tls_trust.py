"""TLS towards service brokers: whom to trust, and the certificate that says who we are.

OpenSSL reads certificates of its own side from files only, and only from files without holding up the whole process.
All are handed over in memory, by a file that has no name.
"""

import base64
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from aiohttp import Fingerprint

from chandlery.osb.client_credentials import ClientCertificate
from chandlery.osb.endpoint import SessionKey
from chandlery.osb.faults import Misconfigured

Trust = ssl.SSLContext | Fingerprint | bool


_BYTES_OF_ROOTS: Final = 1_000_000
_BYTES_PER_BYTE: Final = 8
"""What OpenSSL takes at most for one byte of a bundle, which may have thousands of small certificates."""


def bytes_of_trust(key: SessionKey) -> int:
    """About how much memory the trust of an endpoint's sessions takes; nothing where all share it."""
    shown = key.client_certificate
    if not key.ca_bundle and shown is None:
        return 0
    roots = _BYTES_PER_BYTE * len(key.ca_bundle) if key.ca_bundle else _BYTES_OF_ROOTS
    return roots + (_BYTES_PER_BYTE * len(shown.certificate_pem) if shown is not None else 0)


def trust_for(key: SessionKey) -> Trust:
    """True for the system's roots, False for no verification, or a context of the endpoint's own.

    For a thread if there is a client certificate or a bundle: reading them may take a second.

    Raises:
        Misconfigured: the bundle is not base64 of PEM certificates, or the client certificate cannot be used.
    """
    if key.client_certificate is None:
        if key.skip_tls_verify:
            return False
        return _knowing_only(key.ca_bundle) if key.ca_bundle else True
    context = _knowing_only(key.ca_bundle) if key.ca_bundle else ssl.create_default_context()
    if key.skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _show(context, key.client_certificate)
    return context


def _knowing_only(bundle: str) -> ssl.SSLContext:
    try:
        with nameless_file(base64.b64decode("".join(bundle.split()), validate=True)) as path:
            return ssl.create_default_context(cafile=path)
    except (ValueError, OSError):
        raise Misconfigured("the broker's CA bundle is not base64 of PEM certificates") from None


def _show(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    try:
        load_pair(context, certificate.certificate_pem, certificate.key_pem)
    except (OSError, ValueError):
        # OpenSSL's words name neither; and what it quotes is nobody's business.
        raise Misconfigured(
            "the client certificate for the broker cannot be used: tls.crt and tls.key of its Secret must be PEM, "
            "the key unencrypted and the certificate's own"
        ) from None


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Show this certificate, with those of its issuers behind it, by its key; all PEM, and on no disk.

    Raises OSError or ValueError, whose words may be about the key.
    """
    with nameless_file(key.strip() + b"\n" + certificate.strip() + b"\n") as path:
        # Without the password OpenSSL would ask for one at the terminal of the process.
        context.load_cert_chain(path, password="")


@contextmanager
def nameless_file(content: bytes) -> Iterator[str]:
    """A path to the bytes, in memory, that nobody else has."""
    file = os.memfd_create("certificates", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as writing:
            writing.write(content)
        yield f"/proc/self/fd/{file}"
    finally:
        with suppress(OSError):
            os.close(file)
