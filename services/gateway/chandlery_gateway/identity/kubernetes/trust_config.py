"""Whom the cluster lets speak for others: its ConfigMap `kube-system/extension-apiserver-authentication`.

kube-apiserver writes it from its flags `--requestheader-*` and `--client-ca-file`. Lists are JSON in a string.

Source: Kubernetes, "Configure the Aggregation Layer"
(https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.process.http.presented_certificates import PresentedCertificate
from chandlery_gateway.identity.kubernetes.vouching import Authorities

CONFIG_NAMESPACE: Final = "kube-system"
CONFIG_NAME: Final = "extension-apiserver-authentication"
_PLACE: Final = f"ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME}"
_LONGEST: Final = 1_000_000
_MOST_NAMES: Final = 100

PROXY_CA: Final = "requestheader-client-ca-file"
CLIENT_CA: Final = "client-ca-file"
_ALLOWED_NAMES: Final = "requestheader-allowed-names"


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Who may come in by a certificate, and which headers of the front proxy tell what."""

    proxy: Authorities
    """Those of the front proxy."""
    clients: Authorities
    """Those of users."""
    allowed_names: frozenset[str] = frozenset()
    """Common names that the front proxy's certificate may have; empty for any."""
    user_headers: tuple[bytes, ...] = ()
    """All headers in lower case. Of these the first that is there counts."""
    uid_headers: tuple[bytes, ...] = ()
    group_headers: tuple[bytes, ...] = ()
    """All of these count."""
    extra_prefixes: tuple[bytes, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is odd about it, for the log."""

    @property
    def is_empty(self) -> bool:
        """Whether it vouches for nobody at all."""
        return not self.proxy and not self.clients

    @property
    def authorities(self) -> str:
        """All of them, in PEM: whose certificates clients are asked for."""
        # The front proxy's first: of two of the same name without key identifiers OpenSSL tries one.
        return f"{self.proxy.pem}{self.clients.pem}"

    def vouch_for(self, shown: PresentedCertificate, now: datetime) -> bool:
        """Whether anybody does."""
        return self.proxy.vouch_for(shown, now) or self.clients.vouch_for(shown, now)

    def takes_for_front_proxy(self, shown: PresentedCertificate, now: datetime) -> bool:
        """Whether it is a front proxy's, which may say whom it speaks for."""
        # Even one that is known may have ended since its connection began.
        is_sound = shown.is_for_clients and shown.is_valid(now)
        return is_sound and self.is_front_proxy(shown.common_name) and self.proxy.vouch_for(shown, now)

    def is_front_proxy(self, name: str) -> bool:
        """Whether a certificate of the proxy's authorities with this common name is that of a front proxy."""
        return not self.allowed_names or name in self.allowed_names


def read_trust_config(data: Mapping[str, str]) -> TrustConfig:
    """What the data of the ConfigMap say. Raises ConfigurationFault that names the key and what is wrong with it."""
    proxy = Authorities(_text(data, PROXY_CA), source=_shown(PROXY_CA))
    clients = Authorities(_text(data, CLIENT_CA), source=_shown(CLIENT_CA))
    config = TrustConfig(
        proxy=proxy,
        clients=clients,
        allowed_names=frozenset(_names(data, _ALLOWED_NAMES)),
        user_headers=_headers(data, "requestheader-username-headers"),
        uid_headers=_headers(data, "requestheader-uid-headers"),
        group_headers=_headers(data, "requestheader-group-headers"),
        extra_prefixes=_headers(data, "requestheader-extra-headers-prefix"),
        warnings=tuple(_warnings(data, proxy, clients)),
    )
    if proxy and _ALLOWED_NAMES not in data:
        # kube-apiserver writes it along with the authority, if only as `[]`. An absent one would allow every name.
        raise ConfigurationFault(f"{_shown(_ALLOWED_NAMES)} is missing")
    if proxy and not config.user_headers:
        raise ConfigurationFault(f"{_shown('requestheader-username-headers')} names no header for the user")
    return config


def _warnings(data: Mapping[str, str], proxy: Authorities, clients: Authorities) -> Iterator[str]:
    if not proxy:
        yield (
            f"{_shown(PROXY_CA)} is missing, so nothing that kube-apiserver passes on is believed; start it with "
            "--requestheader-client-ca-file"
        )
    elif not _names(data, _ALLOWED_NAMES) and proxy == clients:
        yield (
            f"{_shown(PROXY_CA)} has the authorities of {CLIENT_CA}, and requestheader-allowed-names is empty: every "
            "user with a client certificate can speak for anybody; give the front proxy an authority of its own"
        )


def _headers(data: Mapping[str, str], key: str) -> tuple[bytes, ...]:
    names = [name.strip().lower() for name in _names(data, key)]
    if not all(name.isascii() and name for name in names):
        raise ConfigurationFault(f"{_shown(key)} names what can be no header")
    return tuple(name.encode() for name in names)


def _names(data: Mapping[str, str], key: str) -> list[str]:
    text = _text(data, key)
    if not text.strip():
        return []
    try:
        names = read_json(text)
    except NotJson as error:
        raise ConfigurationFault(f"{_shown(key)} is not JSON") from error
    if names is None:
        return []
    if not isinstance(names, list) or len(names) > _MOST_NAMES or not all(isinstance(name, str) for name in names):
        raise ConfigurationFault(f"{_shown(key)} is not a list of at most {_MOST_NAMES} names")
    return names


def _text(data: Mapping[str, str], key: str) -> str:
    text: Any = data.get(key, "")
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ConfigurationFault(f"{_shown(key)} is no text, or longer than {_LONGEST} characters")
    return text


def _shown(key: str) -> str:
    return f"{key} of {_PLACE}"
