"""TLS towards service brokers: whom to trust, and the certificate that says who we are.

OpenSSL reads certificates of its own side from files only. They are handed over in memory, by a file that has no name.
"""

import base64
import os
import ssl
from contextlib import suppress

from aiohttp import Fingerprint

from chandlery.osb.client_credentials import ClientCertificate
from chandlery.osb.endpoint import SessionKey
from chandlery.osb.faults import Misconfigured

Trust = ssl.SSLContext | Fingerprint | bool


def trust_for(key: SessionKey) -> Trust:
    """True for the system's roots, False for no verification, or a context of the endpoint's own.

    For a thread if there is a client certificate: the system's roots are read for it.

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
        pem = base64.b64decode("".join(bundle.split()), validate=True).decode("ascii")
        return ssl.create_default_context(cadata=pem)
    except (ValueError, ssl.SSLError):
        raise Misconfigured("the broker's CA bundle is not base64 of PEM certificates") from None


def _show(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    file = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as writing:
            writing.write(certificate.key_pem.strip() + b"\n" + certificate.certificate_pem.strip() + b"\n")
        # Without the password OpenSSL would ask for one at the terminal of the process.
        context.load_cert_chain(f"/proc/self/fd/{file}", password="")
    except (OSError, ValueError):
        # OpenSSL's words name neither; and what it quotes is nobody's business.
        raise Misconfigured(
            "the client certificate for the broker cannot be used: tls.crt and tls.key of its Secret must be PEM, "
            "the key unencrypted and the certificate's own"
        ) from None
    finally:
        with suppress(OSError):
            os.close(file)
