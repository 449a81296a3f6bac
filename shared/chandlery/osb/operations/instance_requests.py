"""Requests about instances, as values that outlive a worker: stored sealed while in flight and repeated unchanged."""

from dataclasses import dataclass, field
from typing import ClassVar

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.operations.stored_request import StoredRequest
from chandlery.reconcile.answers import Verb


@dataclass(frozen=True, kw_only=True)
class ProvisionRequest(StoredRequest):
    """OSB v2.17, "Provisioning". Both guids are required, although deprecated."""

    verb: ClassVar[Verb] = Verb.PROVISION

    instance_id: str
    service_id: str
    plan_id: str
    organization_guid: str
    space_guid: str
    context: JsonObject = field(repr=False)
    parameters: JsonObject | None = field(repr=False)
    """None if the user gave none: then the key is absent."""
    maintenance_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateRequest(StoredRequest):
    """OSB v2.17, "Updating a Service Instance". What is None is left alone by the broker."""

    verb: ClassVar[Verb] = Verb.UPDATE

    instance_id: str
    service_id: str
    plan_id: str | None
    """The new plan, or the one that there is."""
    parameters: JsonObject | None = field(repr=False)
    """`{}` is sent and differs from None."""
    context: JsonObject = field(repr=False)
    previous_plan_id: str | None
    previous_maintenance_version: str | None = None
    maintenance_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeprovisionRequest(StoredRequest):
    """OSB v2.17, "Deprovisioning". `plan_id` is the plan that the instance has now."""

    verb: ClassVar[Verb] = Verb.DEPROVISION

    instance_id: str
    service_id: str
    plan_id: str


@dataclass(frozen=True, kw_only=True)
class PollInstanceRequest(StoredRequest):
    """OSB v2.17, "Polling Last Operation for Service Instances". While a plan changes, `plan_id` is the old one."""

    verb: ClassVar[Verb] = Verb.POLL_INSTANCE

    instance_id: str
    service_id: str
    plan_id: str
    operation: str | None
    """The broker's key from the 202, verbatim."""


@dataclass(frozen=True, kw_only=True)
class GetInstanceRequest(StoredRequest):
    """OSB v2.17, "Fetching a Service Instance". Only where the catalog says `instances_retrievable`."""

    verb: ClassVar[Verb] = Verb.GET_INSTANCE

    instance_id: str
    service_id: str
    plan_id: str
