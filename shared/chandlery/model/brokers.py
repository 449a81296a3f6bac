"""ClusterServiceBroker and ServiceBroker: where a catalog comes from and how to call it."""

from typing import Final, Literal

from pydantic import Field

from chandlery.model.conditions import Conditions
from chandlery.model.metadata import ObjectMeta, Timestamp
from chandlery.model.wire import WireModel

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


class ClusterBrokerAuth(WireModel):
    """How to authenticate at the service broker; `basic` wins if both are given."""

    basic: ClusterSecretAuth | None = Field(default=None, description="Secret with keys `username` and `password`.")
    bearer: ClusterSecretAuth | None = Field(default=None, description="Secret with key `token`.")


class BrokerAuth(WireModel):
    """How to authenticate at the service broker; `basic` wins if both are given."""

    basic: LocalSecretAuth | None = Field(default=None, description="Secret with keys `username` and `password`.")
    bearer: LocalSecretAuth | None = Field(default=None, description="Secret with key `token`.")


class CatalogRestrictions(WireModel):
    """Which parts of the catalog to offer; label-selector expressions over class and plan properties."""

    service_class: tuple[str, ...] | None = Field(default=None, description="e.g. `spec.externalName in (a, b)`.")
    service_plan: tuple[str, ...] | None = Field(default=None, description="e.g. `spec.free=true`.")


class CommonBrokerSpec(WireModel):
    """What cluster and namespaced brokers share."""

    url: str = Field(default="", description="Address of the service broker; `/v2/catalog` is asked below it.")
    insecure_skip_tls_verify: bool | None = Field(
        default=None, description="Do not verify the broker's certificate. Excludes caBundle."
    )
    ca_bundle: str | None = Field(default=None, description="Base64 PEM bundle that replaces the system's roots.")
    relist_behavior: Literal["Duration", "Manual", ""] = Field(
        default="Duration", description="Whether the catalog is fetched again by itself."
    )
    relist_duration: str | None = Field(default=None, description="Time between fetches, such as `15m`. Default 24h.")
    relist_requests: int = Field(default=0, description="Raise it to have the catalog fetched now.")
    catalog_restrictions: CatalogRestrictions | None = Field(default=None, description="Filters on the catalog.")


class ClusterServiceBrokerSpec(CommonBrokerSpec):
    """Wished state of a cluster-wide service broker."""

    auth_info: ClusterBrokerAuth | None = Field(default=None, description="Credentials for the broker.")


class ServiceBrokerSpec(CommonBrokerSpec):
    """Wished state of a namespace's service broker."""

    auth_info: BrokerAuth | None = Field(default=None, description="Credentials for the broker.")


class BrokerStatus(WireModel):
    """Seen state of a service broker. Written by the syncer only."""

    conditions: Conditions = Field(default=(), description="Ready and Failed.")
    reconciled_generation: int = Field(default=0, description="The generation that was last acted on.")
    operation_start_time: Timestamp | None = Field(default=None, description="Since when fetches have been failing.")
    last_catalog_retrieval_time: Timestamp | None = Field(default=None, description="Last successful fetch.")
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
