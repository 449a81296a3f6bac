"""Makes objects of what service brokers have, in the form in which an import takes them over. Pure.

Comes in: findings, and the classes and plans that are here. Goes out: documents of instances and bindings that are
there and ready, or being deleted. What the record has of an object itself, as an export of kubectl does, goes before.
"""

from collections.abc import Sequence
from typing import Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.names import FINALIZER
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.reconciling.surveys.external_things import Finding, Thing
from chandlery.process.commands.reconciling.surveys.known_here import KnownHere
from chandlery.reconcile.parameters.parameters import checksum

_API: Final = kinds.SERVICE_INSTANCE.api_version
_SHORT: Final = 8
_LONGEST: Final = 63


class MadeDocuments:
    """Of one choice of findings."""

    def __init__(self, known: KnownHere, findings: Sequence[Finding], *, deletes: bool, now: str) -> None:
        """`now` is the present moment, as Kubernetes writes it."""
        self._known = known
        self.findings = sorted(findings, key=lambda each: bool(each.thing.key.binding_id))
        self._deletes = deletes
        self._now = now
        self._taken = set(known.places)
        self._instances = {here.thing.key: here.thing.place for here in known.objects.values()}

    def made(self, finding: Finding) -> JsonObject:
        """The document; instances have to come first. Raises ConfigurationFault if it cannot be made."""
        thing = finding.thing
        place = self._place_of(thing)
        self._taken.add((thing.kind.kind, place))
        if not thing.key.binding_id:
            self._instances[thing.key] = place
        made = self._binding(thing, place) if thing.key.binding_id else self._instance(finding, place)
        return self._with_own(made, thing)

    def _place_of(self, thing: Thing) -> Place:
        """Its own; what is to be deleted makes way for another of its name."""
        namespace, name = thing.place
        if not namespace or not name:
            raise ConfigurationFault(
                f"{thing.external_id}: nobody knows the namespace and the name of its object. Write both into the line "
                'of the record, as "namespace" and "name"'
            )
        if self._deletes and (thing.kind.kind, thing.place) in self._taken:
            ending = f"-orphan-{thing.external_id[:_SHORT].lower()}"
            name = name[: _LONGEST - len(ending)].rstrip("-.") + ending
        return (namespace, name)

    def _metadata(self, thing: Thing, place: Place) -> JsonObject:
        is_known = thing.uid in self._known.uids or (thing.kind.kind, thing.place) in self._known.places
        return {
            "namespace": place[0],
            "name": place[1],
            # The Secret of a binding in a cluster is controlled by the object of this uid.
            **({"uid": thing.uid} if thing.uid and not is_known else {}),
            "generation": 1,
            "creationTimestamp": self._now,
            "finalizers": [FINALIZER],
            **({"deletionTimestamp": self._now, "deletionGracePeriodSeconds": 0} if self._deletes else {}),
        }

    def _instance(self, finding: Finding, place: Place) -> JsonObject:
        thing = finding.thing
        service, plan = self._offered(thing)
        prefix = "" if service.metadata.namespace else "cluster"
        names = {
            f"{prefix}ServiceClassExternalName": service.spec.external_name,  # type: ignore[union-attr]
            f"{prefix}ServicePlanExternalName": plan.spec.external_name,  # type: ignore[union-attr]
            f"{prefix}ServiceClassRef": {"name": service.metadata.name},
            f"{prefix}ServicePlanRef": {"name": plan.metadata.name},
        }
        told = finding.told.get("parameters")
        parameters: JsonObject = told if isinstance(told, dict) else {}
        has = bool(parameters)
        state: dict[str, Any] = {
            f"{prefix}ServicePlanExternalID": thing.plan_id,
            f"{prefix}ServicePlanExternalName": plan.spec.external_name,  # type: ignore[union-attr]
            **({"parameters": parameters, "parameterChecksum": checksum(parameters)} if has else {}),
        }
        dashboard = finding.told.get("dashboard_url")
        return {
            "apiVersion": _API,
            "kind": kinds.SERVICE_INSTANCE.kind,
            "metadata": self._metadata(thing, place),
            "spec": {_lower(key): value for key, value in names.items()}
            | {"externalID": thing.key.instance_id, **({"parameters": parameters} if has else {})},
            "status": {
                "provisionStatus": "Provisioned",
                "deprovisionStatus": "Required",
                "observedGeneration": 1,
                "reconciledGeneration": 1,
                "externalProperties": {_lower(key): value for key, value in state.items()},
                "conditions": [self._ready("ProvisionedSuccessfully")],
                **({"dashboardURL": dashboard} if isinstance(dashboard, str) and dashboard else {}),
            },
        }

    def _binding(self, thing: Thing, place: Place) -> JsonObject:
        of = self._instances.get(thing.key._replace(binding_id=""))
        if of is None or of[0] != place[0]:
            raise ConfigurationFault(
                f"{thing.external_id}: its ServiceInstance ({thing.key.instance_id} at {thing.broker}) is not here. "
                "Take the instance back with it, or hand over a record that has it"
            )
        return {
            "apiVersion": _API,
            "kind": kinds.SERVICE_BINDING.kind,
            "metadata": self._metadata(thing, place),
            "spec": {"instanceRef": {"name": of[1]}, "externalID": thing.key.binding_id, "secretName": place[1]},
            "status": {
                "unbindStatus": "Required",
                "observedGeneration": 1,
                "reconciledGeneration": 1,
                "externalProperties": {},
                "conditions": [self._ready("InjectedBindResult")],
            },
        }

    def _offered(self, thing: Thing) -> tuple[AnyObject, AnyObject]:
        service = self._known.classes.get((thing.key.lane, thing.service_id))
        plan = self._known.plans.get((thing.key.lane, thing.plan_id))
        if service is None or plan is None:
            missing = "class" if service is None else "plan"
            found = thing.service_id if service is None else thing.plan_id
            raise ConfigurationFault(
                f'{thing.external_id}: the {missing} "{found}" of the service broker "{thing.broker}" is not here. '
                'Write its id into the line of the record, as "serviceID" and "planID", or have the catalog read again'
            )
        return service, plan

    def _with_own(self, made: JsonObject, thing: Thing) -> JsonObject:
        """With what the export of the object itself says of its specification and labels."""
        own = thing.document
        if own is None:
            return made
        spec, metadata = own.get("spec"), own.get("metadata")
        merged = dict(made)
        if isinstance(spec, dict):
            merged["spec"] = {**spec, **{key: made["spec"][key] for key in ("externalID",)}}
            if made["kind"] == kinds.SERVICE_BINDING.kind:
                merged["spec"]["instanceRef"] = made["spec"]["instanceRef"]
        if isinstance(own.get("status"), dict) and not self._deletes:
            merged["status"] = own["status"]
        if isinstance(metadata, dict):
            kept = {key: metadata[key] for key in ("labels", "annotations", "generation") if key in metadata}
            merged["metadata"] = {**made["metadata"], **kept}
        return merged

    def _ready(self, reason: str) -> JsonObject:
        return {
            "type": "Ready",
            "status": "True",
            "reason": reason,
            "message": "It was taken back after a restore: its service broker has it",
            "lastTransitionTime": self._now,
        }


def _lower(key: str) -> str:
    return key[0].lower() + key[1:]
