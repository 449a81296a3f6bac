"""What may stand behind the `?` of a PostgreSQL URL, and what each of it may say. Pure; used by `database_url.py`.

Rule: PostgreSQL, "Parameter Key Words" of libpq. What asyncpg understands is handed to it as it is; what it does in one
fixed way may be said that way; what nobody can honour here is refused, for a demand that is ignored is a lie.
"""

from collections.abc import Mapping
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import did_you_mean

SECRET: Final = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
"""Never shown."""
PASSED: Final = frozenset(
    {
        "passfile",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslpassword",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
        "application_name",
        "options",
    }
)
"""asyncpg understands these."""
OURS: Final = frozenset(
    {
        "host",
        "port",
        "dbname",
        "user",
        "password",
        "connect_timeout",
        "fallback_application_name",
        "load_balance_hosts",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    }
)
"""`postgres_connecting.py` honours these."""
NUMBERS: Final = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
_TLS_VERSIONS: Final = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"})
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "sslmode": frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
    "sslnegotiation": frozenset({"postgres", "direct"}),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": frozenset({"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}),
    "load_balance_hosts": frozenset({"disable", "random"}),
    "gsslib": frozenset({"gssapi", "sspi"}),
}
_FIXED: Final[Mapping[str, frozenset[str]]] = {
    "channel_binding": frozenset({"disable", "prefer"}),
    "client_encoding": frozenset({"UTF8", "utf8", "UTF-8", "utf-8", "auto"}),
    "gssdelegation": frozenset({"0"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "max_protocol_version": frozenset({"3.0", "latest"}),
    "min_protocol_version": frozenset({"3.0"}),
    "replication": frozenset({"false", "off", "no", "0"}),
    "sslcertmode": frozenset({"allow"}),
    "sslcompression": frozenset({"0"}),
    "sslsni": frozenset({"1"}),
}
"""We do one of these in any case."""
_REFUSED: Final = frozenset(
    {
        "hostaddr",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "servicefile",
        "sslcrldir",
        "sslkeylogfile",
    }
)
_LARGEST: Final = 2_147_483_647
"""As in libpq."""
_LARGEST_OF: Final[Mapping[str, int]] = {
    "keepalives_idle": 32_767,
    "keepalives_interval": 32_767,
    "keepalives_count": 127,
}
"""Linux refuses more, and with it each connection: tcp(7), MAX_TCP_KEEPIDLE and its like in net/tcp.h."""
_KNOWN: Final = PASSED | OURS | frozenset(_FIXED) | _REFUSED


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Raise ConfigurationFault for a parameter that is unknown, cannot be honoured, or says what it may not say."""
    for name, value in parameters.items():
        if name not in _KNOWN:
            raise ConfigurationFault(f"the database URL has an unknown parameter {quoted(name)}{_nearest(name)}")
        if name in _REFUSED:
            raise ConfigurationFault(f"the database URL has {name}, which Chandlery does not support; remove it")
        largest = _LARGEST_OF.get(name, _LARGEST)
        if name in NUMBERS and not _is_number(value, largest):
            raise ConfigurationFault(
                f"the database URL's {name} is {quoted(value)}; it is a whole number, up to {largest}"
            )
        allowed = _WORDS.get(name) or _FIXED.get(name)
        if allowed is not None and value not in allowed:
            words = ", ".join(sorted(allowed))
            raise ConfigurationFault(f"the database URL's {name} is {quoted(value)}; it can be: {words}")
    _check_certificate_names(parameters)


def _check_certificate_names(parameters: Mapping[str, str]) -> None:
    if parameters.get("sslrootcert") == "system" and parameters.get("sslmode", "verify-full") != "verify-full":
        # libpq's rule: anybody can get some certificate that the machine trusts, so the name is what counts.
        raise ConfigurationFault("the database URL's sslrootcert=system needs sslmode=verify-full")
    if parameters.get("sslnegotiation") == "direct" and parameters.get("sslmode") not in (
        "require",
        "verify-ca",
        "verify-full",
    ):
        raise ConfigurationFault(
            "the database URL's sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"
        )


def _is_number(value: str, largest: int) -> bool:
    digits = value.removeprefix("-")
    return digits.isdecimal() and digits.isascii() and len(digits) <= len(str(largest)) and int(digits) <= largest


def _nearest(name: str) -> str:
    return did_you_mean(name, _KNOWN - _REFUSED) or "; see PostgreSQL's documentation of libpq for valid names"
