"""What the demo broker offers: read by every catalog request and by the checks of `broker.py`.

`demo-service` has exactly one plan, and that must stay so: `examples/demo-instance.yaml` and the tables of the
walk-through rely on it. Everything newer goes into `demo-service-async`, which is off by default.
"""

from openbrokerapi.catalog import ServicePlan
from openbrokerapi.service_broker import Service

SERVICE_ID = "6b6b5306-5c37-4fba-a402-186f8a0dfa0a"
DEFAULT_PLAN_ID = "9a411f4c-01fa-4996-a780-a0d1b8dcb234"

ASYNC_SERVICE_ID = "0d2b6c0e-3f9c-4b43-8d0e-5c1f4a7be1a2"
SMALL_PLAN_ID = "5f0c9a53-7b1e-4a35-9f8b-2f1f6f1c0b11"
LARGE_PLAN_ID = "c1b7d8a4-90d2-4c60-8a5d-7b6c1e2f3d22"
FAILING_PLAN_ID = "e84a2f6b-1d35-4a7c-b0f9-93d5a8c47e33"


def offered_services(*, with_async: bool) -> list[Service]:
    """The catalog, in the order in which it is listed."""
    return [_demo_service(), _async_service()] if with_async else [_demo_service()]


def plan_owners(services: list[Service]) -> dict[str, str]:
    """Plan id to service id: openbrokerapi checks that a plan exists, but not whose it is."""
    return {plan.id: service.id for service in services for plan in service.plans}


def _demo_service() -> Service:
    return Service(
        id=SERVICE_ID,
        name="demo-service",
        description="demo service does nothing",
        bindable=True,
        plans=[ServicePlan(id=DEFAULT_PLAN_ID, name="default", description="default service plan")],
        tags=["demo", "service"],
        plan_updateable=True,
    )


def _async_service() -> Service:
    return Service(
        id=ASYNC_SERVICE_ID,
        name="demo-service-async",
        description="demo service that takes its time",
        bindable=True,
        plans=[
            _async_plan(SMALL_PLAN_ID, "small", "small plan, ready after the delay"),
            _async_plan(LARGE_PLAN_ID, "large", "large plan, ready after the delay"),
            _async_plan(FAILING_PLAN_ID, "failing", "provisioning fails after the delay"),
        ],
        tags=["demo", "service", "async"],
        plan_updateable=True,
        # A platform may only bind asynchronously if it can fetch the credentials afterwards.
        instances_retrievable=True,
        bindings_retrievable=True,
    )


def _async_plan(plan_id: str, name: str, description: str) -> ServicePlan:
    return ServicePlan(id=plan_id, name=name, description=description, free=True, maximum_polling_duration=3600)
