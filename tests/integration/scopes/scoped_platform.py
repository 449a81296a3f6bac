"""The platform of the conformance tests, with a broker that is registered for all namespaces or for one."""

from dataclasses import dataclass
from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import Kind
from tests.conformance.platform import INSTANCE, QUICK, Platform, is_ready, is_settled
from tests.integration.gateway.api_client import Answer, Document


@dataclass
class ScopedPlatform(Platform):
    """Everything is said in the words of one scope: `clusterService` or `service`."""

    scope: str = "clusterService"

    @property
    def broker_kind(self) -> Kind:
        return self._kind_of("ServiceBroker")

    @property
    def class_kind(self) -> Kind:
        return self._kind_of("ServiceClass")

    @property
    def plan_kind(self) -> Kind:
        return self._kind_of("ServicePlan")

    @property
    def is_namespaced(self) -> bool:
        return self.scope == "service"

    def named(self, **fields: Any) -> Document:
        """Fields that begin with a capital get the prefix of the scope: `PlanExternalName`."""
        return {f"{self.scope}{key}" if key[0].isupper() else key: value for key, value in fields.items()}

    async def has(self, **spec: Any) -> Document:
        """Register the scripted broker in the scope and wait until its catalog is there."""
        name = self.broker_name
        await self.creates(self.broker_kind, name, {"url": self.broker.url, **QUICK, **spec})
        self.registered.append(name)
        return await self.until(self.broker_kind, name, is_ready, "be ready")

    async def relists_after(self, **spec: Any) -> Document:
        """Change the broker, or ask for the catalog, and wait until all of it has been taken up."""
        kind, name = self.broker_kind, self.broker_name
        before = await self.reads(kind, name)
        asked = {"relistRequests": before["spec"].get("relistRequests", 0) + 1}
        await self.changes(kind, name, {"spec": {**asked, **spec}})
        return await self.until(kind, name, lambda found: is_ready(found) and is_settled(found), "have its catalog")

    async def wants(self, name: str = "db", *, plan: str | None = "small", **spec: Any) -> Answer:
        """Send a new instance of the test's offering, whatever the answer."""
        wanted = self.named(ClassExternalName=self.offering_name)
        if plan is not None:
            wanted |= self.named(PlanExternalName=plan)
        document = {"kind": "ServiceInstance", "metadata": {"name": name}, "spec": {**wanted, **spec}}
        return await self.api.post(self.path(INSTANCE), document)

    async def gets(self, name: str = "db", *, plan: str | None = "small", **spec: Any) -> Document:
        """Create an instance and wait until it is ready."""
        answer = await self.wants(name, plan=plan, **spec)
        assert answer.status == 201, answer.payload
        return await self.until_ready(INSTANCE, name)

    async def asks(self, name: str = "db", **spec: Any) -> Answer:
        """Send a change of an instance, whatever the answer."""
        return await self.api.patch(self.path(INSTANCE, name), {"spec": self.named(**spec)})

    async def changed(self, name: str = "db", **spec: Any) -> Document:
        """Change an instance and wait until the broker has it."""
        return await self.updates(name, **self.named(**spec))

    async def offered(self) -> dict[str, Document]:
        """Classes and plans that there are, by their external names."""
        return {
            each["spec"]["externalName"]: each
            for kind in (self.class_kind, self.plan_kind)
            for each in await self.lists(kind)
        }

    def plan_state(self, document: Document, state: str) -> tuple[str, str]:
        """External name and id of a plan in the status of an instance; the other scope has to have none."""
        told = document["status"][state]
        other = "clusterService" if self.is_namespaced else "service"
        assert not told.get(f"{other}PlanExternalID")
        return told[f"{self.scope}PlanExternalName"], told[f"{self.scope}PlanExternalID"]

    def _kind_of(self, kind: str) -> Kind:
        return kinds.KINDS[kind if self.is_namespaced else f"Cluster{kind}"]
