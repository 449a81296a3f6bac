"""Checks of certificates in files: the gateway's own, those that servers are shown, the authorities."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.osb.signing.context_keys import ContextKeys
from chandlery.process.commands.doctor.check import (
    CERTIFICATES,
    Check,
    Result,
    checks_of,
    counted,
    failed_with,
    ok,
    unused,
)
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts.certificate_verdicts import all_of, authorities, validity
from chandlery.process.http.presented_certificates import read_authorities, read_certificates
from chandlery.process.http.tls_files import TlsFiles
from chandlery.settings.settings import PREFIX, Settings

_RENEW = "put a renewed one into the file; it is read again by itself"

_check = checks_of(CERTIFICATES)


def certificate_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    settings = around.settings

    def gateway() -> Result:
        certificate, key = settings.tls_cert_file, settings.tls_key_file
        if certificate is None and key is None:
            return unused("the gateway speaks plain HTTP")
        if certificate is None or key is None:
            raise ConfigurationFault(f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE must be set together")
        TlsFiles(certificate, key)
        return _validity(f"{PREFIX}TLS_CERT_FILE", certificate)

    def signing() -> Result:
        file = settings.context_signing_key_file
        if file is None:
            return unused(f"{PREFIX}CONTEXT_SIGNING_KEY_FILE is not set")
        keys = ContextKeys(file)
        published, signs = len(keys.published()["keys"]), keys.signing()
        return ok(
            f"{file} has {counted(published, 'key')}; "
            + ("the first private one signs" if signs else "none signs from here")
        )

    return [
        _check(
            "gateway-certificate",
            "Do the gateway's certificate and key fit, and for how long is it valid?",
            look=gateway,
        ),
        _check(
            "client-certificates",
            "For how long are the certificates valid that are shown to the database and to RabbitMQ?",
            look=lambda: all_of(list(_shown_to_servers(around)), otherwise="no server is shown a certificate"),
        ),
        _check(
            "authorities",
            "Can the files of authorities be read, and for how long are these valid?",
            look=lambda: all_of(list(_authorities(around)), otherwise="no file of authorities is set"),
        ),
        _check("signing-keys", "Can the keys be read that contexts are signed with?", look=signing),
    ]


def _shown_to_servers(around: Surroundings) -> Iterator[Result]:
    settings = around.settings
    if settings.amqp_cert_file is not None:
        yield _validity(f"{PREFIX}AMQP_CERT_FILE", settings.amqp_cert_file)
    if certificate := _of_url(around, "sslcert"):
        yield _validity(f"the sslcert of {PREFIX}DATABASE_URL", Path(certificate))


def _authorities(around: Surroundings) -> Iterator[Result]:
    for what, path in _files_of_authorities(around.settings, around):
        try:
            _, found = read_certificates(what, path)
        except Fault as fault:
            yield failed_with(fault)
        else:
            ends = [each.not_valid_after_utc for each in found]
            yield authorities(f"the authority in {path} ({what})", ends, now=datetime.now(UTC), remedy=_RENEW)
    if around.settings.client_ca_file is not None:
        try:
            read_authorities(around.settings.client_ca_file)
        except Fault as fault:
            yield failed_with(fault)


def _files_of_authorities(settings: Settings, around: Surroundings) -> Iterator[tuple[str, Path]]:
    for name in ("client_ca_file", "amqp_ca_file", "oidc_ca_file"):
        if (path := getattr(settings, name)) is not None:
            yield f"{PREFIX}{name.upper()}", path
    root = _of_url(around, "sslrootcert")
    if root and root != "system":
        yield f"the sslrootcert of {PREFIX}DATABASE_URL", Path(root)


def _of_url(around: Surroundings, parameter: str) -> str:
    try:
        return around.database_url.parameters.get(parameter, "")
    except Fault:
        # What is wrong with the URL, the check of the database says.
        return ""


def _validity(what: str, path: Path) -> Result:
    try:
        _, (found, *_) = read_certificates(what, path)
    except Fault as fault:
        return failed_with(fault)
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    return validity(f"the certificate in {path} ({what})", begin, end, now=datetime.now(UTC), remedy=_RENEW)
