"""ClusterServiceBroker and ServiceBroker: where a catalog comes from and how to call it."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from chandlery.model.objects.conditions import Conditions
from chandlery.model.objects.metadata import ObjectMeta, Timestamp
from chandlery.model.objects.wire import WireModel

GROUP: Final = "servicecatalog.k8s.io"
API_VERSION: Final = "servicecatalog.k8s.io/v1beta1"


class ObjectReference(WireModel):
    """A Secret in a namespace."""

    namespace: str = Field(default="", description="Namespace of the Secret.")
    name: str = Field(default="", description="Name of the Secret.")


class LocalObjectReference(WireModel):
    """An object in the same namespace."""

    name: str = Field(default="", description="Name of the object.")


class ClusterSecretAuth(WireModel):
    """Credentials in a Secret of any namespace."""

    secret_ref: ObjectReference | None = Field(default=None, description="The Secret that holds the credentials.")


class LocalSecretAuth(WireModel):
    """Credentials in a Secret of the broker's namespace."""

    secret_ref: LocalObjectReference | None = Field(default=None, description="The Secret that holds the credentials.")


_CERTIFICATE: Final = (
    "Client certificate for TLS, beside any other method: a Secret of the type `kubernetes.io/tls` with keys `tls.crt` "
    "and `tls.key`."
)
_OAUTH2: Final = "Client credentials of OAuth 2.0, which are exchanged for a token."
_OF_CLIENT: Final = "Secret with keys `clientID` and `clientSecret`."


class OAuth2Parameters(WireModel):
    """How to get a token with client credentials (RFC 6749, section 4.4)."""

    token_url: str = Field(default="", description="The token endpoint, such as `https://login.example.com/token`.")
    scopes: tuple[str, ...] | None = Field(default=None, description="Scopes to ask for.")
    audience: str | None = Field(default=None, description="Audience to ask for, where the token endpoint wants one.")
    client_authentication: Literal["Basic", "Post"] | None = Field(
        default=None,
        description="How client and secret are sent to the token endpoint: in a header (Basic, the default) or in the "
        "body (Post).",
    )
    ca_bundle: str | None = Field(
        default=None,
        description="Base64 PEM bundle to verify the token endpoint with. Default: caBundle of the broker.",
    )


class ClusterOAuth2Auth(OAuth2Parameters):
    """Client credentials in a Secret of any namespace."""

    secret_ref: ObjectReference | None = Field(default=None, description=_OF_CLIENT)


class LocalOAuth2Auth(OAuth2Parameters):
    """Client credentials in a Secret of the broker's namespace."""

    secret_ref: LocalObjectReference | None = Field(default=None, description=_OF_CLIENT)


class ClusterBrokerAuth(WireModel):
    """How to authenticate at the service broker; `basic` wins if `bearer` is given too."""

    basic: ClusterSecretAuth | None = Field(default=None, description="Secret with keys `username` and `password`.")
    bearer: ClusterSecretAuth | None = Field(default=None, description="Secret with key `token`.")
    oauth2: ClusterOAuth2Auth | None = Field(default=None, description=_OAUTH2)
    client_certificate: ClusterSecretAuth | None = Field(default=None, description=_CERTIFICATE)


class BrokerAuth(WireModel):
    """How to authenticate at the service broker; `basic` wins if `bearer` is given too."""

    basic: LocalSecretAuth | None = Field(default=None, description="Secret with keys `username` and `password`.")
    bearer: LocalSecretAuth | None = Field(default=None, description="Secret with key `token`.")
    oauth2: LocalOAuth2Auth | None = Field(default=None, description=_OAUTH2)
    client_certificate: LocalSecretAuth | None = Field(default=None, description=_CERTIFICATE)


AnyBrokerAuth = ClusterBrokerAuth | BrokerAuth
AnySecretReference = ObjectReference | LocalObjectReference
AUTH_METHODS: Final = ("basic", "bearer", "oauth2", "client_certificate")


class CatalogRestrictions(WireModel):
    """Which parts of the catalog to offer; label-selector expressions over class and plan properties."""

    service_class: tuple[str, ...] | None = Field(default=None, description="e.g. `spec.externalName in (a, b)`.")
    service_plan: tuple[str, ...] | None = Field(default=None, description="e.g. `spec.free=true`.")


class RetryPolicy(WireModel):
    """How patiently calls to one service broker are made again. Durations as in `30s` or `1h30m`."""

    initial_delay: str | None = Field(default=None, description="Pause after the first failure. Default 1s.")
    factor: float | None = Field(default=None, description="Factor by which each pause grows. Default 2.")
    maximum_delay: str | None = Field(default=None, description="The longest pause. Default 20m.")
    give_up_after: str | None = Field(
        default=None, description="Time after which an operation that keeps failing counts as failed."
    )


class PollPolicy(WireModel):
    """How often a service broker is asked about an operation that it works on. Durations as in `30s`."""

    initial_interval: str | None = Field(default=None, description="Pause before the first poll. Default 1s.")
    maximum_interval: str | None = Field(
        default=None,
        description="The longest pause. By default 10s for ten minutes, then growing to 1m within an hour.",
    )


class RateLimit(WireModel):
    """How many calls a service broker is sent, whoever sends them: a token bucket."""

    requests_per_second: float = Field(
        default=0.0, description="Average number, such as `5`, or `0.2` for 12 a minute."
    )
    burst: int | None = Field(
        default=None, description="How many calls may be sent at once after a pause. Default: those of one second."
    )


class CircuitBreaker(WireModel):
    """When a service broker that fails is left alone for a while."""

    consecutive_failures: int | None = Field(
        default=None,
        description="Calls in a row without an answer, or with a 5xx, after which calls are paused. Default 10; 0 "
        "switches it off.",
    )
    open_duration: str | None = Field(
        default=None, description="Time until a probe is sent to the broker, such as `30s`."
    )


class CommonBrokerSpec(WireModel):
    """What cluster and namespaced brokers share."""

    url: str = Field(default="", description="Address of the service broker; `/v2/catalog` is asked below it.")
    insecure_skip_tls_verify: bool | None = Field(
        default=None, description="Do not verify the broker's certificate. Excludes caBundle."
    )
    ca_bundle: str | None = Field(default=None, description="Base64 PEM bundle that replaces the system's roots.")
    relist_behavior: Literal["Duration", "Manual", ""] = Field(
        default="Duration", description="Whether the catalog is fetched again automatically."
    )
    relist_duration: str | None = Field(
        default=None, description="Time between fetches, such as `15m`; at least 1s. Default 24h."
    )
    relist_requests: int = Field(default=0, description="Raise it to fetch the catalog now.")
    catalog_restrictions: CatalogRestrictions | None = Field(default=None, description="Filters on the catalog.")
    osb_api_version: Literal["2.11", "2.12", "2.13", "2.14", "2.15", "2.16", "2.17"] | None = Field(
        default=None, description="OSB version to use, for brokers that do not support a newer one. Default 2.17."
    )
    request_timeout: str | None = Field(
        default=None, description="Time limit for one call to the broker, such as `30s`. Default 60s."
    )
    retry_policy: RetryPolicy | None = Field(default=None, description="When failed calls are retried.")
    max_concurrent_requests: int | None = Field(
        default=None, description="Concurrent calls of all workers together to the broker."
    )
    rate_limit: RateLimit | None = Field(default=None, description="Calls per second that are sent to the broker.")
    circuit_breaker: CircuitBreaker | None = Field(
        default=None, description="When calls to the broker are paused because it keeps failing."
    )
    poll_policy: PollPolicy | None = Field(default=None, description="How often running operations are polled.")
    orphan_mitigation: Literal["Automatic", "Manual"] | None = Field(
        default=None,
        description="Whether leftovers of a failed creation at the broker are deleted automatically (Automatic, the "
        "default), or when a person requests it with the annotation `chandlery.io/orphan-mitigation` "
        "(Manual).",
    )
    send_unchanged_plan: bool | None = Field(
        default=None,
        description="Whether an update of parameters also sends the unchanged plan, as some brokers need (true, the "
        "default), or omits it.",
    )
    name_priority: int | None = Field(
        default=None,
        description="Decides whose class is meant where several brokers offer classes of the same name: the highest "
        "number wins. Default 0.",
    )
    context_annotations: tuple[str, ...] | None = Field(
        default=None,
        description="Annotations of namespaces and instances to send to the broker, by prefix such as `acme.com/`.",
    )
    signed_context: bool | None = Field(
        default=None,
        description="Whether the context that the broker is sent has a `signature`, a JWT that it can verify. Default "
        "false.",
    )


class ClusterServiceBrokerSpec(CommonBrokerSpec):
    """Desired state of a cluster-wide service broker."""

    auth_info: ClusterBrokerAuth | None = Field(default=None, description="Credentials for the broker.")


class ServiceBrokerSpec(CommonBrokerSpec):
    """Desired state of a namespace's service broker."""

    auth_info: BrokerAuth | None = Field(default=None, description="Credentials for the broker.")


class BrokerStatus(WireModel):
    """Seen state of a service broker. Written by the syncer only."""

    conditions: Conditions = Field(default=(), description="CircuitOpen, Ready and Failed.")
    reconciled_generation: int = Field(default=0, description="The generation that was last acted on.")
    observed_generation: int | None = Field(default=None, description="The generation that Ready refers to.")
    operation_start_time: Timestamp | None = Field(default=None, description="Time since which fetches have failed.")
    last_catalog_retrieval_time: Timestamp | None = Field(default=None, description="Last successful fetch.")
    attempts: int | None = Field(default=None, description="Failed attempts in a row.")
    next_attempt_time: Timestamp | None = Field(default=None, description="When the next attempt is made.")
    last_condition_state: str = Field(default="", description="What the STATUS column shows.")


class ClusterServiceBroker(WireModel):
    """A service broker whose classes everybody may use."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ClusterServiceBroker"] = "ClusterServiceBroker"
    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterServiceBrokerSpec = ClusterServiceBrokerSpec()
    status: BrokerStatus = BrokerStatus()


class ServiceBroker(WireModel):
    """A service broker whose classes only its namespace may use."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServiceBroker"] = "ServiceBroker"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceBrokerSpec = ServiceBrokerSpec()
    status: BrokerStatus = BrokerStatus()


AnyBroker = ClusterServiceBroker | ServiceBroker


def auth_secrets(broker: AnyBroker) -> Iterator[tuple[str, tuple[str, str]]]:
    """The methods of `authInfo` that are used, each with namespace and name of its Secret; of basic and bearer one."""
    auth = broker.spec.auth_info
    for method in AUTH_METHODS:
        holder = getattr(auth, method, None)
        reference: AnySecretReference | None = holder.secret_ref if holder is not None else None
        if reference is None or (method == "bearer" and auth is not None and auth.basic is not None):
            continue
        is_elsewhere = isinstance(reference, ObjectReference)
        namespace = reference.namespace if is_elsewhere else broker.metadata.namespace  # type: ignore[union-attr]
        yield method, (namespace or "", reference.name)
