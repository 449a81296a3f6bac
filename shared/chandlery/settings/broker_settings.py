"""Settings about the way to service brokers: where they may be, what is sent, how little tenants are told."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat


class BrokerSettings(BaseModel):
    """Part of `Settings`. Lists are networks, hosts and schemes; `reconcile/egress/egress_rules.py` reads them."""

    broker_trusted_networks: str = Field(
        default="",
        description="Networks that may be called although no service broker is expected there, such as "
        "`127.0.0.0/8,::1/128` for this machine. By default no loopback, link-local, metadata, unspecified, multicast "
        "or reserved address is called; private networks are.",
    )
    broker_allow: str = Field(
        default="",
        description="The only places where service brokers may be: networks (`10.0.0.0/8`), hosts "
        "(`broker.example.com`, `*.example.com`) and schemes (`https:`), separated by commas. Unset allows all places.",
    )
    broker_deny: str = Field(
        default="", description="Places where no service broker may be, written like broker_allow; this list wins."
    )
    tenant_broker_allow: str = Field(
        default="",
        description="The only places for brokers of namespaces (ServiceBroker), besides what broker_allow says. A "
        "Namespace's annotation `chandlery.io/broker-allow` narrows it further.",
    )
    tenant_broker_deny: str = Field(
        default="",
        description="Places where no broker of a namespace may be; so does a Namespace's annotation "
        "`chandlery.io/broker-deny`.",
    )
    broker_http_credentials: bool = Field(
        default=True, description="Whether credentials may be sent to service brokers over plain http."
    )
    broker_skip_tls_verify: bool = Field(
        default=True, description="Whether brokers may have `spec.insecureSkipTLSVerify: true`."
    )
    broker_lookup_seconds: NonNegativeFloat = Field(
        default=2.0,
        description="How long a gateway may take to look up the name of a ClusterServiceBroker before it is stored; 0 "
        "leaves it to the workers, which look at each connection in any case.",
    )
    broker_proxy: str = Field(
        default="",
        description="`http://host:port` of a proxy through which service brokers and token endpoints are called. It "
        "resolves their names, so only hosts and literal addresses can be checked here.",
    )
    broker_proxy_credentials_file: Path | None = Field(
        default=None, description="File with `user:password` for the proxy on one line; read again when it changes."
    )
    broker_no_proxy: str = Field(
        default="", description="Networks and hosts that are called directly although there is a proxy."
    )
    tenant_broker_failures: Literal["uniform", "detailed"] = Field(
        default="uniform",
        description="What is shown of a failed call to a broker of a namespace: always the same, so that nobody can "
        "probe the network with it, or what exactly failed. The log always has it.",
    )
    tenant_failure_seconds: NonNegativeFloat = Field(
        default=5.0,
        description="How long such a call lasts at least if it fails, so that its duration does not tell what failed.",
    )
    context_signing_key_file: Path | None = Field(
        default=None,
        description="PEM keys for signed contexts (`spec.signedContext` of brokers). Workers sign with the first "
        "private key; the gateway publishes the public ones of all, for which it needs no private one. Read again when "
        "it changes.",
    )
