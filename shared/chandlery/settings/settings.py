"""Settings: `CHANDLERY_*` environment variables, or a TOML file named by `CHANDLERY_CONFIG_FILE`.

Comes in: the environment, the file, and what a command adds by itself.
Goes out: `Settings`, a frozen value that all floors may read. A name that is no setting is refused with the nearest
one that is: passed over in silence it would be a setting that does not count, and nobody would notice.
Called by: `process/commands/`, once for each process; tests make theirs with `load_settings(name=value)`.

The description of each field is its documentation: `docs/settings.md` and the chart's schema are generated from it.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.names import nearest_names
from chandlery.settings.amqp_tls_settings import AmqpTlsSettings
from chandlery.settings.audit_settings import AuditSettings
from chandlery.settings.authentication_settings import AuthenticationSettings
from chandlery.settings.broker_settings import BrokerSettings
from chandlery.settings.database_role_settings import DatabaseRoleSettings
from chandlery.settings.encryption_settings import EncryptionSettings
from chandlery.settings.history_settings import HistorySettings
from chandlery.settings.log_settings import LogSettings
from chandlery.settings.names import renames
from chandlery.settings.platform_settings import PlatformSettings
from chandlery.settings.telemetry_settings import TelemetrySettings
from chandlery.settings.web_settings import WebSettings

PREFIX = renames.PREFIX
CONFIG_FILE = "config_file"
_OF_TESTS = f"{PREFIX}TEST_"
_OF_COMPOSE = f"{PREFIX}PUBLISHED_PORT"
_LINK_NAME = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_variables(environment: Mapping[str, str], fields: Collection[str]) -> Iterator[str]:
    """A sentence for each `CHANDLERY_*` variable that is no setting. Values are not told."""
    known = [f"{PREFIX}{field.upper()}" for field in fields]
    for name in sorted(environment):
        shown = name.upper()
        if not shown.startswith(PREFIX) or shown in known or is_of_others(shown, environment[name]):
            continue
        # Without the prefix: that alone makes all of them look alike.
        yield f"{name} is not a setting{_meant(shown.removeprefix(PREFIX), fields, is_variable=True)}"


def unknown_keys(given: Collection[str], fields: Collection[str], *, file: str) -> Iterator[str]:
    """A sentence for each key of the file that is no setting."""
    for key in given:
        if key == CONFIG_FILE:
            yield f"{key} in {file} has no effect: a configuration file cannot name another one"
        elif key not in fields:
            plain = key.lower().removeprefix(PREFIX.lower())
            hint = f"; write {plain}" if plain in fields else _meant(plain, fields)
            yield f"{key} in {file} is not a setting{hint}"


def is_of_others(name: str, value: str) -> bool:
    """Whether the variable has our prefix by chance: Kubernetes names those of a Service after it, Compose its own."""
    if name.startswith(_OF_TESTS) or name == _OF_COMPOSE:
        return True
    return _LINK_NAME.fullmatch(name) is not None or is_link(name, value)


def is_link(name: str, value: str) -> bool:
    """Whether it is the address of a Service, `CHANDLERY_PORT` for one called `chandlery`, and no port of ours."""
    return name.endswith("_PORT") and _LINK_VALUE.fullmatch(value) is not None


def _meant(name: str, fields: Collection[str], *, is_variable: bool = False) -> str:
    near = nearest_names(name, set(fields).difference(renames.old_names()), most=1)
    if not near:
        return ""
    return f"; did you mean {f'{PREFIX}{near[0].upper()}' if is_variable else near[0]}?"


class _FileSource(TomlConfigSettingsSource):
    """The file, by the names of today."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return renames.under_new_names(super()._read_file(file_path))


class Settings(
    AmqpTlsSettings,
    AuditSettings,
    AuthenticationSettings,
    BrokerSettings,
    DatabaseRoleSettings,
    EncryptionSettings,
    HistorySettings,
    LogSettings,
    PlatformSettings,
    TelemetrySettings,
    WebSettings,
    BaseSettings,
):
    """Everything that can be set. One process reads them once, at its start."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    config_file: Path | None = Field(default=None, description="TOML file with more settings, named as below.")

    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="`postgresql://user:password@host/name`, with libpq's parameters after a `?`; or `sqlite:///file`.",
    )
    amqp_url: SecretStr = Field(
        default=SecretStr(""),
        description="`amqp[s]://user:password@host/vhost` of RabbitMQ, with commas between the nodes of a cluster; "
        "or `memory:` in one process.",
    )
    amqp_prefix: str = Field(default="", description="Put before every exchange and queue, to share a virtual host.")
    amqp_queue_type: Literal["classic", "quorum"] | None = Field(
        default=None,
        description="Type of the durable queues. Default: `quorum` if amqp_url names several nodes, else `classic`.",
    )
    database_pool_size: PositiveInt = Field(default=10, description="Connections to the database in each process.")
    database_prepared_statements: bool = Field(
        default=True,
        description="Keep prepared statements on each connection; set `false` behind a pooler that shares connections "
        "between transactions, such as PgBouncer with `pool_mode = transaction`.",
    )

    host: str = Field(default="127.0.0.1", description="Address the gateway listens on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port the gateway listens on; 0 picks a free one.")
    tls_cert_file: Path | None = Field(default=None, description="PEM certificate of the gateway; with tls_key_file.")
    tls_key_file: Path | None = Field(default=None, description="PEM key of the gateway.")
    accept_plain_http: bool = Field(
        default=False, description="With TLS, answer plain HTTP on the same port too. For loopback only."
    )

    max_reading_requests: PositiveInt = Field(
        default=100, description="Requests that read, in each gateway at a time; a list without `limit` counts as ten."
    )
    max_mutating_requests: PositiveInt = Field(
        default=100,
        description="Requests that write, in each gateway at a time; each 256 KiB of body count as one more.",
    )
    max_waiting_requests: PositiveInt = Field(
        default=1000,
        description="Requests of either kind that wait in the queue; at most half of them are of one user.",
    )
    request_wait_seconds: PositiveFloat = Field(
        default=15.0, description="How long a request waits in the queue before it is answered 429."
    )
    max_watches: PositiveInt = Field(
        default=1000, description="Watches in each gateway at a time; no user gets more than remain for all others."
    )
    max_connections: PositiveInt = Field(
        default=2000,
        description="Connections to each gateway; slow and idle ones are closed for new ones, and no address gets more "
        "than remain for all others. The front proxy of a cluster gets nine tenths.",
    )
    slow_client_seconds: PositiveFloat = Field(
        default=30.0, description="How long a client may take to send a request, or not read an answer."
    )

    probe_host: str = Field(default="127.0.0.1", description="Address of the probes on probe_port.")
    probe_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port for /livez and /readyz alone; unset serves none (a gateway answers on its own port too).",
    )

    cluster_id: str | None = Field(
        default=None,
        description="The id that brokers know this installation by. Default: a random one, which is stored.",
    )
    broker_concurrency: PositiveInt = Field(
        default=16,
        description="Calls that one worker process makes to one service broker at a time (a broker's "
        "`spec.maxConcurrentRequests` bounds those of all processes).",
    )
    circuit_failures: NonNegativeInt = Field(
        default=10,
        description="Failed or unanswered calls in a row after which calls to a service broker are paused; 0 for "
        "never. A broker's `spec.circuitBreaker` overrides it.",
    )
    circuit_open_seconds: PositiveFloat = Field(
        default=30.0,
        description="How long calls to such a broker are paused before a probe. A broker's `spec.circuitBreaker` "
        "overrides it.",
    )
    shortest_poll_seconds: PositiveFloat = Field(
        default=0.2,
        description="The shortest pause between polls of an operation that `spec.pollPolicy` of a broker may have. "
        "Shorter ones are refused, and stored ones are lengthened.",
    )
    shortest_retry_seconds: PositiveFloat = Field(
        default=0.5,
        description="The same for the pause before a failed call is retried (`spec.retryPolicy`), and for the time "
        "that calls to a broker are paused (`spec.circuitBreaker.openDuration`).",
    )
    osb_timeout_seconds: PositiveFloat = Field(default=60.0, description="Time limit for one call to a service broker.")
    operation_timeout_hours: PositiveFloat = Field(
        default=168.0,
        description="How long an operation may fail or run before it counts as failed. A plan may set less.",
    )
    rotation_grace_seconds: NonNegativeFloat = Field(
        default=300.0, description="How long rotated credentials stay valid before they are revoked."
    )
    catalog_mebibytes: PositiveInt = Field(
        default=16,
        description="Largest catalog of a service broker in MiB; each MiB may hold 32,768 JSON values and keys.",
    )
    relist_hours: PositiveFloat = Field(
        default=24.0, description="Time between catalog fetches. A broker's `spec.relistDuration` overrides it."
    )
    lease_seconds: PositiveFloat = Field(
        default=10.0,
        description="How long a worker's lease on an object lasts; the work of a process that died is taken over after "
        "that.",
    )
    sweep_seconds: PositiveFloat = Field(default=1.0, description="How often the database is searched for due work.")
    change_log_hours: PositiveFloat = Field(default=1.0, description="How far back a watch can resume.")
    outbox_hours: PositiveFloat = Field(
        default=24.0, description="How long messages are kept while the message bus is unavailable."
    )
    shutdown_delay_seconds: NonNegativeFloat = Field(
        default=0.0, description="How long a gateway keeps serving after SIGTERM while /readyz already answers 503."
    )
    shutdown_seconds: PositiveFloat = Field(
        default=20.0, description="How long unfinished work may continue after SIGTERM before it is released."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the file."""
        path = _config_file()
        if isinstance(env_settings, EnvSettingsSource):
            variables = {
                name: value for name, value in env_settings.env_vars.items() if not is_link(name.upper(), value or "")
            }
            # pydantic-settings has lowered them.
            env_settings.env_vars = renames.under_new_names(variables, prefix=PREFIX.lower())
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if path:
            sources.append(_FileSource(settings_cls, Path(path)))
        return tuple(sources)


def load_settings(**given: object) -> Settings:
    """Read the settings; raises ConfigurationFault that names each bad one as it stands in the user's source."""
    path = _config_file()
    if path and not Path(path).is_file():
        raise ConfigurationFault(f"{PREFIX}CONFIG_FILE names {path}, which is not a file")
    in_file = _read_file(path) if path else {}
    known = {*Settings.model_fields, *renames.old_names()}
    problems = [
        *unknown_variables(os.environ, known),
        *unknown_keys(in_file, known, file=path or ""),
        *renames.given_twice(os.environ, in_file, file=path or ""),
    ]
    settings = None
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        # The input is left out: it may be a password.
        problems += [
            f"{_place(str(problem['loc'][0]), given, in_file, path)}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
            if problem["type"] != "extra_forbidden"
        ]
    if settings is None or problems:
        raise ConfigurationFault("; ".join(problems))
    return settings


def old_names_in_use() -> Sequence[str]:
    """A sentence for each setting that is still given by its old name, from where `load_settings` reads them."""
    path = _config_file()
    return list(renames.old_names_used(os.environ, _read_file(path) if path else {}, file=path or ""))


def _config_file() -> str | None:
    """In whatever case its name is written, like those of all other variables."""
    return next((value for name, value in os.environ.items() if name.upper() == f"{PREFIX}{CONFIG_FILE.upper()}"), None)


def _read_file(path: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationFault(f"{PREFIX}CONFIG_FILE names {path}, which cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationFault(f"{path} is not valid TOML: {error}") from None


def _place(field: str, given: Collection[str], in_file: Collection[str], path: str | None) -> str:
    """What the user calls the setting: a key of the file, unless a variable or an argument wins over that."""
    names = (*renames.old_names(field), field)
    variables = {name.upper() for name in os.environ}
    set_ones = [variable for name in names if (variable := f"{PREFIX}{name.upper()}") in variables]
    keys = [name for name in names if name in in_file]
    if keys and field not in given and not set_ones:
        return f"{keys[0]} in {path}"
    return next(iter(set_ones), f"{PREFIX}{field.upper()}")


_KEYS = f"{PREFIX}ENCRYPTION_KEYS"
_FIRST_KEY = "; set it as for the other processes (`chandlery new-key` makes the first key)"


def require(settings: Settings, *names: str) -> None:
    """Refuse to start without these; raises ConfigurationFault naming all that are missing."""
    missing = [f"{PREFIX}{name.upper()}" for name in names if not _given(getattr(settings, name))]
    if missing:
        raise ConfigurationFault(f"not set: {', '.join(missing)}{_FIRST_KEY if _KEYS in missing else ''}")


def _given(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
