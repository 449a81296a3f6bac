"""What to think of the settings as they are: what is missing, contradicts itself, or lets in more than is meant. Pure.

What only the gateway reads it judges by itself (`chandlery_gateway.doctor`).
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from yarl import URL

from chandlery.process.choices.bus_choice import IN_PROCESS_BUS
from chandlery.process.commands.doctor.check import Result, fail, in_a_row, ok, unused, warn, worst
from chandlery.settings.settings import PREFIX, Settings
from chandlery.store.connection.database_url import DatabaseUrl

_LIMITS: Final = ("max_reading_requests", "max_mutating_requests", "max_waiting_requests", "max_watches")
_OF_PROVIDERS: Final[Mapping[str, str]] = {"aws_kms_": "aws-kms", "pkcs11_": "pkcs11"}
_VERIFYING: Final = ("verify-ca", "verify-full")


def contradictions(settings: Settings) -> Result:
    """Settings that cannot both be meant."""
    found = [*_impossible(settings), *_idle(settings), *_odd(settings)]
    return worst(*found) if found else ok("no setting contradicts another")


def database_tls(url: DatabaseUrl) -> Result:
    """Whether somebody on the way to the database could listen, or answer in its place."""
    hosts = [each.name or "localhost" for each in url.hosts]
    far = [name for name in hosts if not name.startswith("/") and not is_near(name)]
    if url.backend == "sqlite" or not far:
        return unused("the database is on this machine")
    mode = url.parameters.get("sslmode", "verify-full" if url.parameters.get("sslrootcert") == "system" else "prefer")
    if mode in _VERIFYING:
        return ok(f"the certificate of the database is verified (sslmode={mode})")
    place = in_a_row(far)
    said = f"nobody verifies that the database at {place} is the right one"
    if mode == "disable":
        said = f"the connection to the database at {place} is not encrypted"
    return warn(
        f"{said} (sslmode={mode})",
        f"add ?sslmode=verify-full&sslrootcert=FILE to {PREFIX}DATABASE_URL",
    )


def rabbitmq_tls(urls: tuple[URL, ...]) -> Result:
    """The same of RabbitMQ."""
    far = [url for url in urls if not is_near(url.host or "")]
    if not far:
        return unused("RabbitMQ is on this machine")
    plain = sorted({url.host or "" for url in far if url.scheme != "amqps"})
    if plain:
        return warn(
            f"the connection to RabbitMQ at {', '.join(plain)} is not encrypted, nor is the password that is sent",
            f"use amqps:// in {PREFIX}AMQP_URL, and {PREFIX}AMQP_CA_FILE for an authority of your own",
        )
    if any(url.query.get("no_verify_ssl") == "1" for url in far):
        return warn("nobody verifies that RabbitMQ is the right one (no_verify_ssl=1)", "remove no_verify_ssl")
    return ok("the certificate of RabbitMQ is verified")


def request_limits(settings: Settings) -> Result:
    """How much a gateway takes at a time."""
    told = ", ".join(f"{getattr(settings, name):,} {name.removeprefix('max_').replace('_', ' ')}" for name in _LIMITS)
    defaults = not {*_LIMITS, "max_connections"} & settings.model_fields_set
    words = f"a gateway takes {told}, {settings.max_connections:,} connections" + (
        " (the defaults)" if defaults else ""
    )
    seats = settings.max_reading_requests + settings.max_mutating_requests + settings.max_watches
    if seats > settings.max_connections:
        return warn(
            f"a gateway may serve {seats:,} requests and watches at a time, and takes {settings.max_connections:,} "
            "connections",
            f"raise {PREFIX}MAX_CONNECTIONS, or lower {PREFIX}MAX_WATCHES",
        )
    return ok(words)


def egress(settings: Settings, *, listens_beyond: bool) -> Result:
    """Where service brokers may be, once the lists could be read."""
    if not listens_beyond:
        return ok("the lists of places where service brokers may be can be read")
    if settings.broker_allow or settings.broker_deny or settings.tenant_broker_allow or settings.tenant_broker_deny:
        return ok("settings say where service brokers may be")
    return warn(
        "whoever may register a service broker in a namespace can have this network's private addresses called",
        f"say where brokers of namespaces may be with {PREFIX}TENANT_BROKER_ALLOW or {PREFIX}TENANT_BROKER_DENY",
    )


def is_near(host: str) -> bool:
    """Whether it is this machine itself, by its usual names."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


def _impossible(settings: Settings) -> Iterator[Result]:
    ports: dict[int, str] = {}
    for name in ("port", "probe_port", "metrics_port"):
        port = getattr(settings, name)
        if port and port in ports:
            yield fail(
                f"{PREFIX}{name.upper()} and {PREFIX}{ports[port].upper()} are both {port}: a gateway cannot listen "
                "twice on one port",
                f"choose another {PREFIX}{name.upper()}",
            )
        ports[port] = name
    if settings.amqp_url.get_secret_value() == IN_PROCESS_BUS and _database(settings) == "postgresql":
        yield fail(
            f"{PREFIX}AMQP_URL is {IN_PROCESS_BUS}, so processes do not hear of each other's work",
            f"set {PREFIX}AMQP_URL to a RabbitMQ for services of separate processes",
        )
    if settings.amqp_url.get_secret_value() not in ("", IN_PROCESS_BUS) and _database(settings) == "sqlite":
        yield warn(
            "the database is a SQLite file, which is for one process, and RabbitMQ is for several",
            f"set {PREFIX}DATABASE_URL to a PostgreSQL",
        )
    if settings.amqp_queue_type == "classic" and ",amqp" in settings.amqp_url.get_secret_value().replace(" ", ""):
        yield warn(
            f"{PREFIX}AMQP_QUEUE_TYPE is classic, so each queue is on one node of the cluster and away with it",
            f"unset {PREFIX}AMQP_QUEUE_TYPE",
        )


def _idle(settings: Settings) -> Iterator[Result]:
    """Settings that have no effect, for want of another."""
    providers = {name.strip() for name in settings.encryption_providers.split(",")}
    for beginning, provider in _OF_PROVIDERS.items():
        names = sorted(name for name in settings.model_fields_set if name.startswith(beginning))
        if names and provider not in providers:
            yield warn(
                f"{PREFIX}{names[0].upper()} has no effect: {PREFIX}ENCRYPTION_PROVIDERS does not name {provider}",
                f"add {provider} to {PREFIX}ENCRYPTION_PROVIDERS, or unset it",
            )
    for name in ("broker_proxy_credentials_file", "broker_no_proxy"):
        if getattr(settings, name) and not settings.broker_proxy:
            yield warn(
                f"{PREFIX}{name.upper()} has no effect without {PREFIX}BROKER_PROXY", f"set {PREFIX}BROKER_PROXY"
            )
    if not settings.audit_table and not settings.audit_log:
        for name in sorted({"audit_policy_file", "audit_unwritable"} & settings.model_fields_set):
            yield warn(f"{PREFIX}{name.upper()} has no effect: there is no audit log", f"set {PREFIX}AUDIT_TABLE=true")


def _odd(settings: Settings) -> Iterator[Result]:
    if settings.circuit_failures and settings.circuit_open_seconds < settings.shortest_retry_seconds:
        yield warn(
            f"{PREFIX}CIRCUIT_OPEN_SECONDS ({settings.circuit_open_seconds:g}) is shorter than "
            f"{PREFIX}SHORTEST_RETRY_SECONDS ({settings.shortest_retry_seconds:g}), which wins",
            f"lengthen {PREFIX}CIRCUIT_OPEN_SECONDS",
        )
    if settings.lease_seconds <= 2 * settings.sweep_seconds:
        yield warn(
            f"{PREFIX}LEASE_SECONDS ({settings.lease_seconds:g}) is not well above {PREFIX}SWEEP_SECONDS "
            f"({settings.sweep_seconds:g}): work is taken from processes that are only slow",
            f"lengthen {PREFIX}LEASE_SECONDS",
        )
    if settings.log_level == "debug":
        yield warn(f"{PREFIX}LOG_LEVEL is debug, which fills disks", f"set {PREFIX}LOG_LEVEL=info when you are done")


def _database(settings: Settings) -> str:
    scheme = settings.database_url.get_secret_value().partition(":")[0].partition("+")[0]
    return "postgresql" if scheme == "postgres" else scheme
