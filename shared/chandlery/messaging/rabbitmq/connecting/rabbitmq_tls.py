"""Why TLS to RabbitMQ fails, in one sentence that names the setting and the file. Pure; `rabbitmq_servers.py` asks."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from yarl import URL

from chandlery.model.faults import Refused, Unavailable
from chandlery.settings.checks.client_certificates import time_problem

URL_SETTING: Final = "CHANDLERY_AMQP_URL"
_CERTIFICATE: Final = "CHANDLERY_AMQP_CERT_FILE"
_AUTHORITY: Final = "CHANDLERY_AMQP_CA_FILE"
_LONGEST_CHAIN: Final = 8


def tls_fault(url: URL, error: BaseException) -> Unavailable | None:
    """What a failed connection has to do with TLS: Refused where a person has to see to it; None for anything else."""
    if url.scheme != "amqps":
        return None
    where, certificate = f"RabbitMQ at {url.host}:{url.port}", url.query.get("certfile")
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            authority = url.query.get("cafile", "not set, the machine's authorities count")
            return Refused(
                f"the certificate of {where} is refused: {each.verify_message.rstrip('.')}; check {_AUTHORITY} "
                f"({authority}) and the host's name in {URL_SETTING}",
                is_setting=True,
            )
        if isinstance(each, ssl.SSLError) and each.reason and "ALERT" in each.reason:
            why = each.reason.lower().replace("_", " ").rpartition("alert ")[2]
            return _refused(where, certificate, why)
        if isinstance(each, ssl.SSLError) and each.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return Refused(f"{where} does not speak TLS; check amqps:// and the port in {URL_SETTING}", is_setting=True)
        if isinstance(each, ConnectionResetError) and certificate is None:
            return Unavailable(
                f"{where} closed the connection; if it asks clients for certificates, set {_CERTIFICATE}"
            )
    return None


def _refused(where: str, certificate: str | None, why: str) -> Refused:
    if certificate is None:
        return Refused(f"{where} refuses the connection: {why}; it may ask for {_CERTIFICATE}", is_setting=True)
    problem = time_problem(Path(certificate))
    said = f"it {problem}" if problem else why
    return Refused(f"{where} refuses the certificate {certificate} ({_CERTIFICATE}): {said}", is_setting=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. The client raises some anew with themselves as their context."""
    found: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
