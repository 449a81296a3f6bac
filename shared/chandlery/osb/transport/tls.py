"""How far to trust a service broker's certificate, as the value that aiohttp takes."""

import base64
import ssl

from chandlery.osb.endpoint import SessionKey
from chandlery.osb.faults import Misconfigured


def trust(key: SessionKey) -> ssl.SSLContext | bool:
    """True for the system's roots, False for no verification, or a context that knows only the given bundle.

    Raises:
        Misconfigured: the bundle is not base64 of PEM certificates.
    """
    if key.skip_tls_verify:
        return False
    if not key.ca_bundle:
        return True
    try:
        pem = base64.b64decode("".join(key.ca_bundle.split()), validate=True).decode("ascii")
        return ssl.create_default_context(cadata=pem)
    except (ValueError, ssl.SSLError):
        raise Misconfigured("the broker's CA bundle is not base64 of PEM certificates") from None
