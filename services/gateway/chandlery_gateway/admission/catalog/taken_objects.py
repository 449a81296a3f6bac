"""How documents of an API server before us become objects of ours, and what of our rules they break. No I/O.

Called by `chandlery import`, which announces what it finds before anything is stored. What a client would be refused is
told of here as well; whatever only the server may set, such as references and status, is kept as it was.
"""

from collections.abc import Iterator
from typing import Any, Final

from chandlery.lookup.broker_access import shortest_pauses
from chandlery.lookup.broker_egress import egress_of
from chandlery.model.faults import BadRequest, FieldProblem, Invalid
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.names import FINALIZER
from chandlery.process.takeover import ReadObject, TakeoverRules
from chandlery.settings.settings import Settings
from chandlery_gateway.admission.catalog.broker_places import broker_places
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.admission.field_checks import nul_problems, required
from chandlery_gateway.kube.apply.managed_fields import encode, read_sent
from chandlery_gateway.kube.body.bodies import RequestTooLarge
from chandlery_gateway.kube.body.decoding import FieldValidation, decode_dict

_REFERENCES: Final = ("cluster_service_class_ref", "cluster_service_plan_ref", "service_class_ref", "service_plan_ref")
_STATUS: Final = "status"
_OWNED_STATUS: Final = "f:status"


def takeover_rules(settings: Settings) -> TakeoverRules:
    """The gateway's part of taking over: by the rules that these settings make."""
    places = broker_places(egress_of(settings), lookup_seconds=settings.broker_lookup_seconds)
    return TakeoverRules(reads=TakenObjects(ObjectAdmission(shortest_pauses(settings), places)).read)


class TakenObjects:
    """Reads them by the rules of this gateway."""

    def __init__(self, admission: ObjectAdmission) -> None:
        self._admission = admission

    def read(self, kind: Kind, document: JsonObject) -> ReadObject:
        """The object, what is left out of it, and what is wrong with it. Nothing secret is quoted."""
        try:
            decoded = decode_dict(kind, document, field_validation=FieldValidation.WARN)
        except Invalid as fault:
            return ReadObject(document=None, problems=fault.problems)
        except (BadRequest, RequestTooLarge) as fault:
            return ReadObject(document=None, problems=(FieldProblem("", "Invalid", fault.message),))
        found = decoded.object
        if hasattr(found, "spec") and not getattr(found.spec, "external_id", "unknown"):
            missing = required("spec.externalID", "nobody can tell what the service broker knows it by")
            return ReadObject(document=None, problems=(missing,))
        prepared = self._prepared(found)
        problems = (*self._admission.problems_on_create(prepared), *nul_problems(prepared))
        taken = _with_what_it_had(prepared, found, owners=_owners(kind, decoded.sent_managed_fields))
        return ReadObject(document=taken, remarks=decoded.warnings, problems=problems)

    def _prepared(self, found: AnyObject) -> AnyObject:
        """As one that is new, without what only the server sets."""
        user = getattr(getattr(found, "spec", None), "user_info", None) or UserInfo()
        if isinstance(found, ServiceInstance):
            spec = found.spec.model_copy(update=dict.fromkeys(_REFERENCES))
            found = found.model_copy(update={"spec": spec})
        return self._admission.default_on_create(found, user)


def _with_what_it_had(prepared: AnyObject, found: AnyObject, *, owners: str | None) -> AnyObject:
    changes: dict[str, Any] = {}
    spec, old = getattr(prepared, "spec", None), getattr(found, "spec", None)
    if spec is not None:
        kept = {name: getattr(old, name) for name in (*_REFERENCES, "user_info") if hasattr(old, name)}
        changes["spec"] = spec.model_copy(update=kept) if kept else spec
    if hasattr(found, _STATUS):
        changes[_STATUS] = getattr(found, _STATUS)
    metadata = {"managed_fields": owners, "self_link": None, "finalizers": _finalizers(prepared, found) or None}
    changes["metadata"] = prepared.metadata.model_copy(update=metadata)
    taken: AnyObject = prepared.model_copy(update=changes)
    return taken


def _finalizers(prepared: AnyObject, found: AnyObject) -> list[str]:
    """Those that it had; ours, which has the old name, in the place of one that was taken off before the move."""
    had = found.metadata.finalizers or []
    is_ours = FINALIZER in (prepared.metadata.finalizers or [])
    if not is_ours or FINALIZER in had or found.metadata.deletion_timestamp is not None:
        return had
    return [FINALIZER, *had]


def _owners(kind: Kind, sent: Any) -> str | None:
    """Who owns which fields of what users write: a status is nobody's here."""
    entries = read_sent(sent, api_version=kind.api_version) or {}
    return encode(_without_status(entries.values()))


def _without_status(entries: Any) -> Iterator[Any]:
    for entry in entries:
        if entry.subresource:
            continue
        fields = {name: below for name, below in entry.fields.items() if name != _OWNED_STATUS}
        yield type(entry)(
            manager=entry.manager,
            operation=entry.operation,
            api_version=entry.api_version,
            time=entry.time,
            fields=fields,
        )
