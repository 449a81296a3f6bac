"""Reads the URLs of RabbitMQ, without ever showing a password. `rabbitmq_servers.py` calls it.

Rules: the "RabbitMQ URI Specification"; behind the `?` may stand what the client (aiormq) honours. It passes over
all else in silence, and takes no heartbeat at all for one that is no number.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from yarl import URL

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import did_you_mean

HEARTBEAT_SECONDS: Final = 10
"""A silent server is given up after three of these, a silent client after two, unless the URL has a `?heartbeat=`."""
_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_URL: Final = "CHANDLERY_AMQP_URL"
_CA_FILE: Final = "CHANDLERY_AMQP_CA_FILE"
_LARGEST: Final[Mapping[str, int]] = {"heartbeat": 65_535, "timeout": 86_400}
"""In seconds; AMQP 0-9-1 has 16 bits for the heartbeat."""
_WORDS: Final = {"auth": ("plain", "external"), "no_verify_ssl": ("0", "1")}
_TLS: Final = ("cafile", "capath", "cadata", "certfile", "keyfile", "no_verify_ssl")
_KNOWN: Final = frozenset({"name", *_LARGEST, *_WORDS, *_TLS})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")


def parse_urls(text: str, *, ca_file: Path | None = None) -> tuple[URL, ...]:
    """`amqp[s]://user:password@host[:port]/vhost[?options]`, several of them separated by commas.

    `ca_file` has the certificates that a server's own is checked against, instead of the machine's. Raises
    ConfigurationFault.
    """
    # Only before another URL: a password may have a comma in it.
    urls = tuple(_parse(each) for each in re.split(r",\s*(?=amqps?://)", text.strip()))
    if ca_file is not None:
        if any(url.scheme != "amqps" for url in urls):
            raise ConfigurationFault(f"{_CA_FILE} has an effect only with amqps:// in {_URL}")
        # As an option: the client ignores a client certificate beside a context that is made for it.
        urls = tuple(url.update_query({"cafile": str(ca_file)}) for url in urls)
    for url in urls:
        _check_files(url.query, ca_file)
    return urls


def _parse(text: str) -> URL:
    try:
        url = URL(text)
        usual_port = _PORTS[url.scheme]
        if not url.host:
            raise ValueError("no host")
        url = url.with_port(url.port or usual_port)
    except (KeyError, ValueError):
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


def _check_files(options: Mapping[str, str], ca_file: Path | None) -> None:
    """What is wrong with a file is found before anything is waited for."""
    if "cafile" in options:
        whose = _CA_FILE if ca_file is not None else f"the cafile in {_URL}"
        try:
            ssl.create_default_context(cafile=options["cafile"])
        except ssl.SSLError as error:
            raise ConfigurationFault(f"{whose} {options['cafile']} contains no PEM certificates") from error
        except OSError as error:
            raise ConfigurationFault(f"{whose} {options['cafile']} cannot be read: {error.strerror}") from error
    if "certfile" in options:
        certificate, key = options["certfile"], options.get("keyfile")
        try:
            # An empty passphrase: without one OpenSSL would ask at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            why = error.strerror if not isinstance(error, ssl.SSLError | ValueError) else type(error).__name__
            raise ConfigurationFault(
                f"the certfile {certificate} and keyfile in {_URL} cannot be used: {why}"
            ) from error
    elif "keyfile" in options:
        raise ConfigurationFault(f"{_URL} has a keyfile but no certfile")
