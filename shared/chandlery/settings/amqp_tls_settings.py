"""Settings of TLS to RabbitMQ: whom to believe, and what to show."""

from pathlib import Path

from pydantic import BaseModel, Field


class AmqpTlsSettings(BaseModel):
    """A part of `Settings`. The files are read for each connection."""

    amqp_ca_file: Path | None = Field(
        default=None, description="PEM certificates to verify RabbitMQ's certificate with, instead of the system's."
    )
    amqp_cert_file: Path | None = Field(
        default=None,
        description="PEM certificate to show to RabbitMQ, where that asks for one. It is the login, too, if amqp_url "
        "names no user. Read again for each connection.",
    )
    amqp_key_file: Path | None = Field(
        default=None, description="PEM key of amqp_cert_file. Default: the key is in the same file."
    )
