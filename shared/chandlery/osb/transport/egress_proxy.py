"""The proxy through which service brokers are called, if the operator has one. Its credentials come from a file.

To an http broker the proxy is sent whole requests, to an https broker `CONNECT`, and TLS is spoken through it with the
broker itself. The proxy resolves the broker's name, and only it knows to what.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chandlery.reconcile.egress.egress_rules import NO_RULES, EgressRules
from chandlery.reconcile.egress.host_spelling import Host, host_of

PROXY_AUTHORIZATION: Final = "Proxy-Authorization"
_LOOK_AGAIN: Final = 2.0
"""Seconds for which the file is not looked at again."""
_LONGEST_FILE: Final = 4096


class UnusableProxyFile(Exception):
    """The file with the proxy's credentials cannot be read, or holds something else."""


@dataclass(frozen=True, slots=True)
class ProxyUse:
    """How one call uses the proxy. Part of what connections depend on."""

    url: str
    authorization: str | None = field(default=None, repr=False)

    def for_requests(self, host: Host) -> Mapping[str, str]:
        """Headers that go with each request to the broker: only an http broker's go to the proxy."""
        return self._headers if host.scheme == "http" else {}

    @property
    def for_tunnels(self) -> Mapping[str, str]:
        """Headers of `CONNECT`."""
        return self._headers

    @property
    def _headers(self) -> Mapping[str, str]:
        return {PROXY_AUTHORIZATION: self.authorization} if self.authorization else {}


class EgressProxy:
    """The proxy, which brokers it is for, and its credentials, which are read again when their file changes."""

    def __init__(self, url: str, *, credentials_file: Path | None = None, bypass: EgressRules = NO_RULES) -> None:
        """`bypass` names those that are called directly: addresses by network, names by pattern."""
        self.url = url
        self.host = host_of(url)
        self._file = credentials_file
        self.bypass = bypass
        self._authorization: str | None = None
        self._seen: tuple[int, int] | None = None
        self._look_at = 0.0

    def for_host(self, host: Host) -> ProxyUse | None:
        """How to call this host, or None if directly.

        Raises:
            UnusableProxyFile: there are no credentials to be had. Without them the proxy would only refuse.
        """
        if self.bypass.names(host):
            return None
        return ProxyUse(self.url, self._current())

    def _current(self) -> str | None:
        if self._file is None:
            return None
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN
            self._read(self._file)
        return self._authorization

    def _read(self, file: Path) -> None:
        try:
            state = file.stat()
            seen = (state.st_mtime_ns, state.st_size)
            if seen == self._seen:
                return
            text = file.read_bytes()[:_LONGEST_FILE].decode().strip()
        except (OSError, UnicodeDecodeError):
            # What was read before still is what it was; a file is away for a moment while it is replaced.
            if self._authorization is None:
                raise UnusableProxyFile("the file with the egress proxy's credentials cannot be read") from None
            return
        if ":" not in text or "\n" in text:
            raise UnusableProxyFile("the file with the egress proxy's credentials is not one line of user:password")
        self._authorization = "Basic " + base64.b64encode(text.encode()).decode("ascii")
        self._seen = seen
