"""An instance and a binding from their creation to their end, so that every endpoint of the broker is asked."""

from typing import Any

from tests.conformance.platform import Platform
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import BIND, DEPROVISION, PROVISION, UNBIND, UPDATE


async def whole_life(platform: Platform, **broker: Any) -> None:
    """Clean-up after a failure, then creation, change, binding and their ends, all of them asynchronous."""
    small, large = simple_plan("small"), simple_plan("large")
    platform.offers(small, large, instances_retrievable=True, bindings_retrievable=True, plan_updateable=True)
    platform.broker.script(PROVISION, Reply(500), Reply(202, {"operation": "create"}))
    platform.broker.script(UPDATE, Reply(202, {"operation": "change"}))
    platform.broker.script(BIND, Reply(202, {"operation": "bind"}))
    platform.broker.script(UNBIND, Reply(202, {"operation": "unbind"}))
    platform.broker.script(DEPROVISION, Reply(200), Reply(202, {"operation": "delete"}))
    await platform.registers(**broker)
    await platform.provisions(plan="small", parameters={"size": 1})
    await platform.updates(clusterServicePlanExternalName="large")
    await platform.binds(parameters={"role": "reader"})
    await platform.unbinds()
    await platform.deprovisions()
