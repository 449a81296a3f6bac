"""What can be wrong with a certificate that we show to a server, besides being unreadable. For store and messaging."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509


def time_problem(certificate: Path) -> str:
    """Why the certificate in the PEM file is not valid now, as in `expired on 2026-01-31 12:00 UTC`; empty if it is.

    A file that holds none, or is gone, has no problem here: who loads it says so.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return ""
    now = datetime.now(UTC)
    if now > found.not_valid_after_utc:
        return f"expired on {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < found.not_valid_before_utc:
        return f"is not valid before {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return ""
