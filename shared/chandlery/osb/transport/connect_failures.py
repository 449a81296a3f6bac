"""Why no connection came about, in words for people. Names host and cause, never credentials."""

import os

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
)

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import Misconfigured, NothingSent, Unreached
from chandlery.osb.transport.egress import WAY_OUT
from chandlery.osb.transport.guarded_connections import AddressRefused

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's words for bytes that are no TLS."""
_TLS_ALERT = r"\x15\x03"
"""How an answer in TLS begins, as the client quotes what is no HTTP."""


def nothing_sent(endpoint: BrokerEndpoint, failure: ClientError | TimeoutError) -> NothingSent:
    """The fault to raise: temporary, unless it lies in what the two sides are."""
    refusal = getattr(failure, "os_error", None)
    if isinstance(refusal, AddressRefused):
        return Misconfigured(f"cannot reach the broker at {endpoint.place}: its address {refusal}. {WAY_OUT}")
    sentence = f"cannot reach the broker at {endpoint.place}: {_cause(failure)}"
    if isinstance(failure, ClientConnectorCertificateError):
        return Misconfigured(sentence)
    return Unreached(sentence)


def no_http(endpoint: BrokerEndpoint, failure: ClientError) -> str:
    """What to say of an answer that is no complete HTTP."""
    if endpoint.base.startswith("http:") and _TLS_ALERT in str(getattr(failure, "message", "")):
        return "the broker uses TLS on this port: write https:// in spec.url"
    return "the broker's answer is not complete HTTP"


def _cause(failure: ClientError | TimeoutError) -> str:
    match failure:
        case ClientConnectorCertificateError():
            return _certificate_cause(
                getattr(failure.certificate_error, "verify_message", "") or "it cannot be verified"
            )
        case ClientConnectorSSLError():
            return _tls_cause(getattr(failure.os_error, "reason", None) or "")
        case ClientConnectorDNSError():
            return "its name cannot be resolved"
        case ClientHttpProxyError():
            return f"the egress proxy answered {failure.status}"
        case ClientProxyConnectionError() if failure.os_error.errno is not None:
            return f"the egress proxy cannot be reached ({os.strerror(failure.os_error.errno).lower()})"
        case TimeoutError():
            return "the connection timed out"
        case ClientConnectorError() if failure.os_error.errno is not None:
            return os.strerror(failure.os_error.errno).lower()
        case _:
            return "the connection failed"


def _certificate_cause(why: str) -> str:
    refused = f"its certificate is refused ({why.rstrip('. ')})"
    if "expired" in why or "not yet valid" in why:
        return f"{refused}. Whoever runs the broker must renew it"
    if "ismatch" in why:
        return f"{refused}. Use a host name in spec.url that the certificate is valid for"
    return (
        f"{refused}. Put the certificate of the CA that has signed it, as base64 of PEM, into "
        "spec.caBundle; spec.insecureSkipTLSVerify: true instead would reveal the broker's credentials to "
        "anybody who impersonates it"
    )


def _tls_cause(reason: str) -> str:
    if reason in _NO_TLS:
        return "it does not use TLS on this port. If it uses plain HTTP there, write http:// in spec.url"
    return f"no TLS connection ({reason.lower().replace('_', ' ') or 'handshake failed'})"
