"""Reads the database's URL as libpq does, without ever showing a password. Pure; `engine.py` and commands call it.

Rule: PostgreSQL, "Connection URIs" of libpq: several hosts, IPv6 and socket folders, parameters behind the `?`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote, unquote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from chandlery.model.faults import ConfigurationFault
from chandlery.store.connection.url_parameters import SECRET, check_parameters

_UNREADABLE: Final = "the database URL cannot be read; it looks like postgresql://user@host/name"
_POSTGRESQL: Final = frozenset({"postgresql", "postgres"})
_PORT: Final = 5432
_HIGHEST_PORT: Final = 65_535
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%a-z]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d{0,5}))?")


@dataclass(frozen=True)
class Host:
    """Where a server may be; None means what libpq's environment or habit says."""

    name: str | None
    port: int | None

    def __str__(self) -> str:
        name = self.name or "localhost"
        return name if name.startswith("/") else f"{name}:{self.port or _PORT}"


@dataclass(frozen=True, kw_only=True)
class DatabaseUrl:
    """A database's address, read."""

    backend: Literal["postgresql", "sqlite"]
    hosts: tuple[Host, ...] = ()
    """In the order in which they are tried."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    """A name, or SQLite's file."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What else libpq is told, by its names."""

    @property
    def place(self) -> str:
        """The servers or the file, for messages."""
        if self.backend == "sqlite":
            return self.database or ""
        if "service" in self.parameters and not self.hosts[0].name:
            return f"service {self.parameters['service']}"
        return ",".join(map(str, self.hosts))

    @property
    def shown(self) -> str:
        """All of it but what is secret."""
        if self.backend == "sqlite":
            return f"sqlite:///{self.database or ''}"
        user = f"{quote(self.user)}@" if self.user else ""
        told = [f"{name}={quote(value, safe='/')}" for name, value in self.parameters.items() if name not in SECRET]
        more = f"?{'&'.join(told)}" if told else ""
        return f"postgresql://{user}{','.join(map(str, self.hosts))}/{quote(self.database or '')}{more}"


def read_database_url(text: str) -> DatabaseUrl:
    """The URL in its parts; raises ConfigurationFault, which never repeats what may hold a password."""
    scheme, there, rest = text.partition("://")
    backend = scheme.partition("+")[0]
    if not there or "\0" in unquote(text):
        raise ConfigurationFault(_UNREADABLE)
    if backend == "sqlite":
        return _sqlite(text)
    if backend not in _POSTGRESQL:
        name = backend if backend.isalnum() and len(backend) < len(_UNREADABLE) else "this kind"
        raise ConfigurationFault(f"databases of type {name!r} are not supported; use postgresql or sqlite")
    return _postgresql(rest)


def _sqlite(text: str) -> DatabaseUrl:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationFault("the database URL cannot be read; it looks like sqlite:///folder/file.db") from None
    if url.query:
        raise ConfigurationFault(f"the database URL of SQLite takes no parameters, but has {', '.join(url.query)}")
    if url.host or url.username:
        raise ConfigurationFault("the database URL of SQLite needs three slashes before its file: sqlite:///file.db")
    if not url.database or url.database == ":memory:":
        raise ConfigurationFault(
            "the database URL of SQLite must name a file, because a database in memory ends with its process"
        )
    return DatabaseUrl(backend="sqlite", database=url.database)


def _postgresql(rest: str) -> DatabaseUrl:
    before, _, query = rest.partition("?")
    authority, _, database = before.partition("/")
    login, _, hosts = authority.rpartition("@")
    if "@" in login:
        raise ConfigurationFault(f"{_UNREADABLE}, with %40 for an @ in the user's name or password")
    user, _, password = login.partition(":")
    parameters = _parameters(query)
    check_parameters(parameters)
    given = {name: parameters.pop(name, None) for name in ("host", "port", "user", "password", "dbname")}
    return DatabaseUrl(
        backend="postgresql",
        hosts=_hosts_of(given["host"], given["port"]) if given["host"] else _hosts(hosts.split(","), given["port"]),
        user=given["user"] or unquote(user) or None,
        password=given["password"] or unquote(password) or None,
        database=given["dbname"] or unquote(database) or None,
        parameters=parameters,
    )


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, there, value = part.partition("=")
        if not there:
            # It may be the rest of a password with a question mark in it.
            raise ConfigurationFault("the database URL has a parameter after its ? that is not of the form name=value")
        name, value = unquote(name), unquote(value)
        if name == "ssl" and value == "true":
            name, value = "sslmode", "require"  # as libpq does, for URLs of JDBC
        if value:
            found[name] = value
    return found


def _hosts_of(names: str, port: str | None) -> tuple[Host, ...]:
    """Hosts from the parameter `host`, where each is a plain name, address or folder."""
    ports = port.split(",") if port else [""]
    hosts = names.split(",")
    if len(ports) not in (1, len(hosts)):
        raise ConfigurationFault(f"the database URL has {len(hosts)} hosts and {len(ports)} ports")
    if len(ports) == 1:
        ports *= len(hosts)
    return tuple(Host(_name(name), _port(each)) for name, each in zip(hosts, ports, strict=True))


def _hosts(specs: Sequence[str], port: str | None) -> tuple[Host, ...]:
    hosts = []
    for spec in specs:
        match = _HOST.fullmatch(spec)
        if match is None:
            raise ConfigurationFault(_UNREADABLE)
        name = unquote(match["ipv6"] or match["name"] or "")
        hosts.append(Host(_name(name), _port(match["port"] or port)))
    return tuple(hosts)


def _name(text: str) -> str | None:
    """A host's name; one that no resolver can be asked for is refused."""
    try:
        if not text.startswith("/"):
            text.encode("idna")
    except UnicodeError:
        raise ConfigurationFault("the database URL has a host whose name is too long or has an empty part") from None
    return text or None


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= _HIGHEST_PORT:
        raise ConfigurationFault("the database URL has a port that is not a number from 1 to 65535")
    return int(text)
