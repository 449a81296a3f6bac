"""What the keys of a log line are called in JSON: the names of the Elastic Common Schema, as data.

Callers keep their short keys, which people see on a console too. What the schema has no field for is under
`chandlery.`, and so is every key that is not in this table. `docs/logs.md` has it as a table; see ADR 0045.
"""

from dataclasses import dataclass
from typing import Final

ECS_VERSION: Final = "9.2.0"
OWN: Final = "chandlery."
"""Before the name of a field that the schema does not have."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One key that callers use, and what it becomes."""

    key: str
    name: str
    meaning: str
    tells_apart: bool = False
    """Whether lines that differ in it are different ones: whose, and what came of it, but not the numbers."""


ON_EVERY_LINE: Final = (
    Field(key="at", name="@timestamp", meaning="when, in UTC"),
    Field(key="level", name="log.level", meaning="`debug`, `info`, `warning`, `error` or `critical`"),
    Field(key="event", name="message", meaning="a sentence for people"),
    Field(key="logger", name="log.logger", meaning="the module or library that writes; see [levels](#levels)"),
    Field(
        key="service",
        name="service.name",
        meaning="`chandlery-gateway`, `chandlery-binder` …, as in traces; `chandlery` in `chandlery up` as a whole",
        tells_apart=True,
    ),
    Field(key="version", name="service.version", meaning="version of Chandlery"),
    Field(key="host", name="host.name", meaning="name of the machine or pod"),
    Field(key="pid", name="process.pid", meaning="id of the process"),
    Field(key="ecs", name="ecs.version", meaning="version of the schema"),
)
ON_SOME_LINES: Final = (
    Field(key="action", name="event.action", meaning="what was done; see [actions](#actions)"),
    Field(key="trace_id", name="trace.id", meaning="the trace that it is part of"),
    Field(key="span_id", name="span.id", meaning="the span of it"),
    Field(key="outcome", name="event.outcome", meaning="`success`, `failure` or `unknown`", tells_apart=True),
    Field(key="ms", name="event.duration", meaning="how long it took, in nanoseconds"),
    Field(key="reason", name="event.reason", meaning="why", tells_apart=True),
    Field(key="error", name="error.message", meaning="what failed, or the service broker's words"),
    Field(key="error_type", name="error.type", meaning="class of the exception", tells_apart=True),
    Field(key="exception", name="error.stack_trace", meaning="traceback, with ends of lines"),
    Field(key="method", name="http.request.method", meaning="verb of an API request", tells_apart=True),
    Field(key="path", name="url.path", meaning="its path, without the query", tells_apart=True),
    Field(key="status", name="http.response.status_code", meaning="status of an answer", tells_apart=True),
    Field(
        key="request_identity",
        name="http.request.id",
        meaning="names one request to a service broker, which sees it as `X-Broker-API-Request-Identity`",
    ),
    Field(key="user", name="user.name", meaning="who has sent a request", tells_apart=True),
    Field(key="ip", name="client.ip", meaning="from which address", tells_apart=True),
    Field(
        key="address",
        name="client.address",
        meaning="from which address or network, or `others` for those who are counted together",
        tells_apart=True,
    ),
    Field(key="server", name="server.address", meaning="host and port that was called", tells_apart=True),
    Field(key="kind", name="orchestrator.resource.type", meaning="kind of the object", tells_apart=True),
    Field(key="namespace", name="orchestrator.namespace", meaning="namespace of the object", tells_apart=True),
    Field(key="name", name="orchestrator.resource.name", meaning="name of the object", tells_apart=True),
    Field(key="uid", name="orchestrator.resource.id", meaning="uid of the object", tells_apart=True),
    Field(
        key="broker", name=f"{OWN}broker", meaning="the service broker, `namespace/name` or `name`", tells_apart=True
    ),
    Field(key="operation", name=f"{OWN}operation", meaning="what the service broker was asked for", tells_apart=True),
    Field(key="verdict", name=f"{OWN}verdict", meaning="what its answer means", tells_apart=True),
    Field(
        key="instance_id",
        name=f"{OWN}instance_id",
        meaning="id of the instance at the service broker",
        tells_apart=True,
    ),
    Field(
        key="binding_id", name=f"{OWN}binding_id", meaning="id of the binding at the service broker", tells_apart=True
    ),
    Field(key="service_id", name=f"{OWN}service_id", meaning="id of the service in the broker's catalog"),
    Field(key="plan_id", name=f"{OWN}plan_id", meaning="id of the plan in the broker's catalog"),
    Field(key="attempt", name=f"{OWN}attempt", meaning="which try it was, from 1"),
    Field(key="condition", name=f"{OWN}condition.type", meaning="type of a condition", tells_apart=True),
    Field(
        key="condition_status",
        name=f"{OWN}condition.status",
        meaning="`True`, `False`, `Unknown`, or `Gone` for one that is taken away",
        tells_apart=True,
    ),
    Field(key="condition_reason", name=f"{OWN}condition.reason", meaning="its reason", tells_apart=True),
    Field(key="condition_message", name=f"{OWN}condition.message", meaning="its message, unless it is `True`"),
    Field(key="lane", name=f"{OWN}lane", meaning="the lane of a service broker", tells_apart=True),
    Field(key="queue", name=f"{OWN}queue", meaning="queue of the message bus", tells_apart=True),
    Field(key="message_id", name=f"{OWN}message_id", meaning="id of a message, by which dead letters are found"),
    Field(key="deliveries", name=f"{OWN}deliveries", meaning="how often a message was delivered"),
    Field(key="connection", name=f"{OWN}connection", meaning="name of the connection to RabbitMQ", tells_apart=True),
    Field(key="issuer", name=f"{OWN}issuer", meaning="URL of an identity provider", tells_apart=True),
    Field(key="key", name=f"{OWN}key", meaning="id of an encryption key", tells_apart=True),
    Field(key="task", name=f"{OWN}task", meaning="task in the background", tells_apart=True),
    Field(key="due_at", name=f"{OWN}due_at", meaning="when the object is looked at again"),
    Field(key="waiting_for", name=f"{OWN}waiting_for", meaning="what else brings it back"),
    Field(key="position", name=f"{OWN}position", meaning="place in the change log"),
    Field(key="audit_id", name=f"{OWN}audit_id", meaning="what the cluster's audit log calls a call to it"),
    Field(key="lost", name=f"{OWN}lost", meaning="audit events that were lost since the start"),
    Field(key="count", name=f"{OWN}count", meaning="how many the sentence is about"),
    Field(key="unread_bytes", name=f"{OWN}unread_bytes", meaning="what a client has not taken"),
    Field(key="repeats", name=f"{OWN}repeats", meaning="how many lines like it were [folded](#floods)"),
)
FIELDS: Final = (*ON_EVERY_LINE, *ON_SOME_LINES)
NAMES: Final = {field.key: field.name for field in FIELDS}
TELLING_APART: Final = tuple(field.key for field in FIELDS if field.tells_apart)
HIDDEN: Final = frozenset({"password", "token", "authorization", "credentials", "parameters", "data", "body"})
"""Keys whose values are never shown. A second line of defence: nothing of ours logs these on purpose."""
