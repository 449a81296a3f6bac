"""Reads the URLs of RabbitMQ, without ever showing a password. `rabbitmq_servers.py` calls it.

Rules: the "RabbitMQ URI Specification"; behind the `?` may stand what the client (aiormq) honours. It passes over
all else in silence, and takes no heartbeat at all for one that is no number.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import did_you_mean
from chandlery.settings.checks.client_certificates import time_problem

HEARTBEAT_SECONDS: Final = 10
"""A silent server is given up after three of these, a silent client after two, unless the URL has a `?heartbeat=`."""
_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_URL: Final = "CHANDLERY_AMQP_URL"
_SETTINGS: Final = {
    "cafile": "CHANDLERY_AMQP_CA_FILE",
    "certfile": "CHANDLERY_AMQP_CERT_FILE",
    "keyfile": "CHANDLERY_AMQP_KEY_FILE",
}
_LARGEST: Final[Mapping[str, int]] = {"heartbeat": 65_535, "timeout": 86_400}
"""In seconds; AMQP 0-9-1 has 16 bits for the heartbeat."""
_WORDS: Final = {"auth": ("plain", "external"), "no_verify_ssl": ("0", "1")}
_TLS: Final = ("cafile", "capath", "cadata", "certfile", "keyfile", "no_verify_ssl")
_KNOWN: Final = frozenset({"name", *_LARGEST, *_WORDS, *_TLS})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """What settings name beside the URL."""

    ca: Path | None = None
    """The certificates that a server's own is checked against, instead of the machine's."""
    certificate: Path | None = None
    """What is shown to the server. Also the login, if the URL names no user."""
    key: Path | None = None

    @property
    def options(self) -> dict[str, str]:
        """As the client takes them."""
        named = {"cafile": self.ca, "certfile": self.certificate, "keyfile": self.key}
        return {name: str(path) for name, path in named.items() if path is not None}


NO_FILES: Final = TlsFiles()


def parse_urls(text: str, *, tls: TlsFiles = NO_FILES) -> tuple[URL, ...]:
    """`amqp[s]://user:password@host[:port]/vhost[?options]`, several of them separated by commas.

    Raises ConfigurationFault.
    """
    # Only before another URL: a password may have a comma in it.
    urls = tuple(_parse(each) for each in re.split(r",\s*(?=amqps?://)", text.strip()))
    if tls.options:
        if any(url.scheme != "amqps" for url in urls):
            names = ", ".join(_SETTINGS[name] for name in tls.options)
            raise ConfigurationFault(f"{names} has an effect only with amqps:// in {_URL}")
        # As options: the client ignores a client certificate beside a context that is made for it.
        urls = tuple(_with_login(url.update_query(tls.options)) for url in urls)
    for url in urls:
        _check_files(url.query, tls)
    return urls


def _parse(text: str) -> URL:
    try:
        url = URL(text)
        usual_port = _PORTS[url.scheme]
        if not url.host:
            raise ValueError("no host")
        url = url.with_port(url.port or usual_port)
    except (LookupError, ValueError):
        # Neither the URL nor the cause may be shown: both can hold the password.
        raise ConfigurationFault(
            f"{_URL} cannot be read; it looks like amqp[s]://user:password@host:port/vhost"
        ) from None
    for name, value in url.query.items():
        _check_option(name, value)
    if url.scheme != "amqps" and (idle := [name for name in _TLS if name in url.query]):
        raise ConfigurationFault(f"{_URL} has {', '.join(idle)}, which has an effect only with amqps://")
    return url.with_query({"heartbeat": str(HEARTBEAT_SECONDS), **url.query})


def _check_option(name: str, value: str) -> None:
    if name not in _KNOWN:
        # What is no plain name may be the rest of a password with a question mark in it.
        shown = f"an unknown option {quoted(name)}" if _PLAIN_NAME.fullmatch(name) else "an unknown option after its ?"
        raise ConfigurationFault(f"{_URL} has {shown}{did_you_mean(name, _KNOWN)}")
    largest, words = _LARGEST.get(name), _WORDS.get(name)
    if largest is not None and not (value.isascii() and value.isdecimal() and int(value[:9]) <= largest):
        raise ConfigurationFault(f"{_URL}: {name} is {quoted(value)}; it is a number of seconds, up to {largest}")
    if words is not None and value.lower() not in words:
        raise ConfigurationFault(f"{_URL}: {name} is {quoted(value)}; it can be: {', '.join(words)}")


def _with_login(url: URL) -> URL:
    is_login = "certfile" in url.query and "auth" not in url.query and url.user is None
    return url.update_query({"auth": "external"}) if is_login else url


def _check_files(options: Mapping[str, str], tls: TlsFiles) -> None:
    """What is wrong with a file is found before anything is waited for."""
    if "cafile" in options:
        whose = _SETTINGS["cafile"] if tls.ca is not None else f"the cafile in {_URL}"
        try:
            ssl.create_default_context(cafile=options["cafile"])
        except ssl.SSLError as error:
            raise ConfigurationFault(f"{whose} {options['cafile']} contains no PEM certificates") from error
        except OSError as error:
            raise ConfigurationFault(f"{whose} {options['cafile']} cannot be read: {error.strerror}") from error
    if "certfile" in options:
        _check_certificate(options["certfile"], options.get("keyfile"), tls)
    elif "keyfile" in options:
        is_setting = tls.key is not None
        told = f"{_SETTINGS['keyfile']} needs {_SETTINGS['certfile']}" if is_setting else None
        raise ConfigurationFault(told or f"{_URL} has a keyfile but no certfile")


def _check_certificate(certificate: str, key: str | None, tls: TlsFiles) -> None:
    shown = f"the certfile {certificate} and keyfile in {_URL}"
    if tls.certificate is not None:
        shown = f"{_SETTINGS['certfile']} {certificate}" + (f" and {_SETTINGS['keyfile']} {key}" if key else "")
    try:
        # An empty passphrase: without one OpenSSL would ask at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        why = error.strerror if not isinstance(error, ssl.SSLError | ValueError) else type(error).__name__
        raise ConfigurationFault(f"{shown} cannot be used: {why}") from error
    if problem := time_problem(Path(certificate)):
        raise ConfigurationFault(f"{shown} cannot be used: the certificate {problem}")
