"""A service broker that only pretends: `python examples/demo_broker/broker.py` offers `demo-service` on port 5000.

openbrokerapi turns HTTP requests into the calls below; `demo_server.py` reads the command line and listens.
It follows the Open Service Broker API 2.17: PUT is idempotent, deleting what is unknown is Gone, a mutation of
something that is busy is a ConcurrencyError.
"""

import sys
from typing import Any

from openbrokerapi import errors
from openbrokerapi.service_broker import (
    BindDetails,
    Binding,
    BindState,
    DeprovisionDetails,
    DeprovisionServiceSpec,
    GetBindingSpec,
    GetInstanceDetailsSpec,
    LastOperation,
    ProvisionDetails,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
    UnbindDetails,
    UnbindSpec,
    UpdateDetails,
    UpdateServiceSpec,
)

from demo_catalog import ASYNC_SERVICE_ID, FAILING_PLAN_ID, offered_services, plan_owners
from demo_ledger import Ledger, Requested
from demo_server import run


class DemoBroker(ServiceBroker):
    """`demo-service` answers at once, `demo-service-async` after `delay_seconds`; nothing real is ever created."""

    def __init__(self, *, with_async: bool = False, delay_seconds: float = 5.0) -> None:
        self._services = offered_services(with_async=with_async)
        self._plan_owners = plan_owners(self._services)
        self._instances = Ledger(
            errors.ErrInstanceDoesNotExist, errors.ErrInstanceAlreadyExists, delay_seconds=delay_seconds
        )
        self._bindings = Ledger(
            errors.ErrBindingDoesNotExist, errors.ErrBindingAlreadyExists, delay_seconds=delay_seconds
        )

    def catalog(self) -> list[Service]:
        return self._services

    def provision(
        self, instance_id: str, details: ProvisionDetails, async_allowed: bool, **kwargs: Any
    ) -> ProvisionedServiceSpec:
        requested = self._requested(details.service_id, details.plan_id, details.parameters)
        is_new, operation = self._instances.create(
            instance_id,
            requested,
            in_background=_must_be_async(requested.service_id, async_allowed),
            fails=requested.plan_id == FAILING_PLAN_ID,
        )
        state = ProvisionState.SUCCESSFUL_CREATED if is_new else ProvisionState.IDENTICAL_ALREADY_EXISTS
        state = ProvisionState.IS_ASYNC if operation else state
        return ProvisionedServiceSpec(state, f"http://demo.local/{instance_id}", operation)

    def update(self, instance_id: str, details: UpdateDetails, async_allowed: bool, **kwargs: Any) -> UpdateServiceSpec:
        current = self._instances.idle(instance_id).requested
        parameters = {**current.parameters, **(details.parameters or {})}
        requested = self._requested(details.service_id, details.plan_id or current.plan_id, parameters)
        in_background = _must_be_async(requested.service_id, async_allowed)
        operation = self._instances.update(instance_id, requested, in_background=in_background)
        return UpdateServiceSpec(operation is not None, operation)

    def deprovision(
        self, instance_id: str, details: DeprovisionDetails, async_allowed: bool, **kwargs: Any
    ) -> DeprovisionServiceSpec:
        service_id = self._instances.present(instance_id).requested.service_id
        in_background = _must_be_async(service_id, async_allowed)
        operation = self._instances.delete(instance_id, in_background=in_background)
        self._bindings.delete_all(f"{instance_id}/")
        return DeprovisionServiceSpec(operation is not None, operation)

    def bind(
        self, instance_id: str, binding_id: str, details: BindDetails, async_allowed: bool, **kwargs: Any
    ) -> Binding:
        self._instances.idle(instance_id)
        requested = self._requested(details.service_id, details.plan_id, details.parameters)
        in_background = async_allowed and requested.service_id == ASYNC_SERVICE_ID
        is_new, operation = self._bindings.create(f"{instance_id}/{binding_id}", requested, in_background=in_background)
        if operation is not None:
            return Binding(BindState.IS_ASYNC, operation=operation)
        state = BindState.SUCCESSFUL_BOUND if is_new else BindState.IDENTICAL_ALREADY_EXISTS
        return Binding(state, _credentials(binding_id))

    def unbind(
        self, instance_id: str, binding_id: str, details: UnbindDetails, async_allowed: bool, **kwargs: Any
    ) -> UnbindSpec:
        entry_id = f"{instance_id}/{binding_id}"
        service_id = self._bindings.present(entry_id).requested.service_id
        in_background = async_allowed and service_id == ASYNC_SERVICE_ID
        operation = self._bindings.delete(entry_id, in_background=in_background)
        return UnbindSpec(operation is not None, operation)

    def get_instance(self, instance_id: str, **kwargs: Any) -> GetInstanceDetailsSpec:
        requested = self._instances.idle(instance_id).requested
        dashboard_url = f"http://demo.local/{instance_id}"
        return GetInstanceDetailsSpec(
            requested.service_id, requested.plan_id, dashboard_url, dict(requested.parameters)
        )

    def get_binding(self, instance_id: str, binding_id: str, **kwargs: Any) -> GetBindingSpec:
        try:
            requested = self._bindings.idle(f"{instance_id}/{binding_id}").requested
        except errors.ErrConcurrentInstanceAccess:
            raise errors.ErrBindingDoesNotExist from None
        return GetBindingSpec(_credentials(binding_id), parameters=dict(requested.parameters))

    def last_operation(
        self, instance_id: str, operation_data: str | None, service_id: str | None, plan_id: str | None, **kwargs: Any
    ) -> LastOperation:
        return self._instances.last_operation(instance_id, operation_data)

    def last_binding_operation(
        self,
        instance_id: str,
        binding_id: str,
        operation_data: str | None,
        service_id: str | None,
        plan_id: str | None,
        **kwargs: Any,
    ) -> LastOperation:
        return self._bindings.last_operation(f"{instance_id}/{binding_id}", operation_data)

    def _requested(self, service_id: str, plan_id: str, parameters: dict[str, Any] | None) -> Requested:
        if self._plan_owners.get(plan_id) != service_id:
            raise errors.ErrBadRequest("plan_id is not a plan of service_id")
        return Requested(service_id, plan_id, parameters or {})


def _must_be_async(service_id: str, async_allowed: bool) -> bool:
    if service_id == ASYNC_SERVICE_ID and not async_allowed:
        raise errors.ErrAsyncRequired
    return service_id == ASYNC_SERVICE_ID


def _credentials(binding_id: str) -> dict[str, str]:
    return {"uri": f"http://demo.local/{binding_id}", "username": "abc", "password": "123456"}


if __name__ == "__main__":
    sys.exit(run(DemoBroker))
