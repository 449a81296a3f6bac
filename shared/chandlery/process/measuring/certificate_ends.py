"""When the certificates end that this process shows to the database and to RabbitMQ. The files may change meanwhile.

The gateway's own comes from where it is kept, `tls_files`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import Settings
from chandlery.store.connection.database_url import read_database_url
from chandlery.telemetry.catalog.processes import CERTIFICATE_EXPIRY
from chandlery.telemetry.metrics import Metrics, Sample

_EVERY_SECONDS: Final = 60.0


async def keep_client_certificates(settings: Settings, metrics: Metrics) -> None:
    """Read them for ever. What cannot be read is not told: whoever connects says what is wrong with it."""
    files = client_certificates(settings)
    while True:
        # Beside the loop: a volume may hang.
        ends = await asyncio.to_thread(lambda: list(_ends(files)))
        metrics.replace(CERTIFICATE_EXPIRY, ends)
        await asyncio.sleep(_EVERY_SECONDS)


def client_certificates(settings: Settings) -> Mapping[str, Path]:
    """Their files, by what metrics call them."""
    files: dict[str, Path] = {}
    if settings.amqp_cert_file is not None:
        files["rabbitmq-client"] = settings.amqp_cert_file
    try:
        shown = read_database_url(settings.database_url.get_secret_value()).parameters.get("sslcert")
    except ConfigurationFault:
        # Whoever connects has said so.
        shown = None
    if shown:
        files["database-client"] = Path(shown)
    return files


def _ends(files: Mapping[str, Path]) -> Iterator[Sample]:
    for name, path in files.items():
        try:
            first = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (OSError, ValueError):
            continue
        yield Sample((name,), first.not_valid_after_utc.timestamp())
