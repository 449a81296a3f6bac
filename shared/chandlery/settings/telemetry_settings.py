"""What a process tells of itself, and where; part of `Settings`."""

from pydantic import BaseModel, Field, PositiveInt


class TelemetrySettings(BaseModel):
    """Settings about metrics and traces."""

    metrics: bool = Field(
        default=True,
        description="Keep metrics for Prometheus. A gateway shows them at /metrics to whoever a role allows that, and "
        "every process on metrics_port.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of the metrics on metrics_port.")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port for /metrics alone, without a token: let nobody but Prometheus reach it. Unset serves none.",
    )
    traces_from_clients: bool = Field(
        default=True,
        description="Continue the trace of a client (header `traceparent`), with what the client has decided of its "
        "recording. With false each request begins a trace of its own, which links to the client's: the sampler alone "
        "decides what is recorded.",
    )
    traces_to_brokers: bool = Field(
        default=True,
        description="Tell service brokers in which trace they are called (header `traceparent`). Whether traces are "
        "recorded, and where they go, is set by OpenTelemetry's own variables, `OTEL_*`.",
    )
    metrics_most_values: PositiveInt = Field(
        default=200,
        description="How many values of a label, such as service brokers, are told apart in a metric. All others are "
        "told together, as `other`.",
    )
