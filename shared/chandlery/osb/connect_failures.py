"""Why no connection came about, in words for people. Names host and cause, never credentials."""

import os

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
)

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import Misconfigured, NothingSent, Unreached


def nothing_sent(endpoint: BrokerEndpoint, failure: ClientError | TimeoutError) -> NothingSent:
    """The fault to raise: temporary, unless it lies in what the two sides are."""
    sentence = f"cannot reach the broker at {endpoint.place}: {_cause(failure)}"
    if isinstance(failure, ClientConnectorCertificateError):
        return Misconfigured(sentence)
    return Unreached(sentence)


def _cause(failure: ClientError | TimeoutError) -> str:
    match failure:
        case ClientConnectorCertificateError():
            reason = getattr(failure.certificate_error, "verify_message", "") or "it cannot be verified"
            return f"its certificate is refused ({reason})"
        case ClientConnectorSSLError():
            return f"no TLS connection ({getattr(failure.os_error, 'reason', None) or 'handshake failed'})"
        case ClientConnectorDNSError():
            return "its name cannot be resolved"
        case TimeoutError():
            return "no connection in time"
        case ClientConnectorError() if failure.os_error.errno is not None:
            return os.strerror(failure.os_error.errno).lower()
        case _:
            return "the connection failed"
