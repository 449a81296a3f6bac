"""The catalog in its two scopes, so that a test can be run for both."""

from dataclasses import dataclass
from typing import Any

from tests.integration.gateway.api_client import CATALOG, TEAM, Api, Document, instance, service_class


@dataclass(frozen=True)
class Scope:
    """Classes and plans that everybody sees, or those of one namespace."""

    prefix: str

    def _path(self, plural: str) -> str:
        return f"{CATALOG}/cluster{plural}" if self.prefix == "clusterService" else f"{TEAM}/{plural}"

    async def offers(self, api: Api, *plans: Document, **spec: Any) -> None:
        """A class with plans."""
        await api.made(self._path("serviceclasses"), self._of_scope(service_class(**spec)))
        for one in plans:
            await api.made(self._path("serviceplans"), self._of_scope(one))

    async def withdraws(self, api: Api, plan_name: str) -> None:
        """What the syncer does with a plan that the broker no longer offers."""
        withdrawn = {"status": {"removedFromBrokerCatalog": True}}
        assert (await api.patch(f"{self._path('serviceplans')}/{plan_name}/status", withdrawn)).status == 200

    def _of_scope(self, document: Document) -> Document:
        if self.prefix == "clusterService":
            return document
        spec = {key.replace("clusterService", "service"): value for key, value in document["spec"].items()}
        return {**document, "kind": document["kind"].removeprefix("Cluster"), "spec": spec}

    def instance(self, **fields: Any) -> Document:
        """An instance whose class and plan are named in this scope: `class_name` is `ClassName` after the prefix."""
        return instance(**self.spec(**fields))

    def spec(self, **fields: Any) -> Document:
        """Fields that begin with a capital letter get the prefix of the scope."""
        return {f"{self.prefix}{key}" if key[0].isupper() else key: value for key, value in fields.items()}
