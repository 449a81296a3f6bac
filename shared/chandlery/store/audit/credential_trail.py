"""What becomes of the credentials of a binding, as entries of the audit log: made, delivered, rotated, removed. Pure.

Workers have these written in the transaction that records the fact itself, so that the one is never without the other.
They have the form of the gateway's entries, with a name of the system for the user, and the words below for the verb;
whoever the binding was made for stands in an annotation. The uid of the binding finds all of them, and with them what
users have done with the binding and its Secret.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import RecordedFact, Secret
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.text.time_ordered_ids import time_ordered_id
from chandlery.store.audit.audit_entries import AuditEntry

BINDER: Final = "system:chandlery:binder"
_GROUPS: Final = ("system:chandlery",)
_AUTHOR: Final = "audit.chandlery.io/author"
_REASON: Final = "audit.chandlery.io/reason"
_VERBS: Final[Mapping[str, str]] = {
    BindingReason.INJECTED: "bind",
    BindingReason.ROTATED: "rotate",
    BindingReason.RETIRED: "revoke",
    BindingReason.RETIREMENT_FAILED: "revoke",
    BindingReason.UNBOUND: "unbind",
    BindingReason.ORPHAN_MITIGATED: "unbind",
    BindingReason.ABANDONED: "abandon",
    BindingReason.FORCE_DELETED: "abandon",
    BindingReason.ORPHAN_MITIGATION_WAIVED: "abandon",
    BindingReason.EXPIRED: "expire",
    BindingReason.SECRET_LOST: "lose",
}
"""What a recorded fact says has been done with the credentials; all others are about something else."""
_FAILED: Final = frozenset({BindingReason.RETIREMENT_FAILED})
DELIVER: Final = "deliver"
WITHDRAW: Final = "withdraw"


def credential_entry(about: AnyObject, fact: RecordedFact) -> AuditEntry | None:
    """The entry of a fact about a binding; None if it is not about credentials."""
    verb = _VERBS.get(fact.reason)
    if verb is None or not isinstance(about, ServiceBinding):
        return None
    author = about.spec.user_info
    return _entry(about, verb, reason=fact.reason, author=author, has_failed=fact.reason in _FAILED)


def secret_entry(secret: Secret, verb: str, *, owner_uid: str) -> AuditEntry:
    """The entry of a Secret that the credentials were written to, or taken away with; found by its owner's uid, too."""
    return _entry(secret, verb, related=(owner_uid,))


def _entry(
    about: AnyObject,
    verb: str,
    *,
    reason: str = "",
    author: UserInfo | None = None,
    has_failed: bool = False,
    related: tuple[str, ...] = (),
) -> AuditEntry:
    kind, metadata, now = kind_of(about), about.metadata, time.time_ns()
    name, moment = time_ordered_id(now), _micro_time(now)
    reference = {
        "resource": kind.plural,
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "apiGroup": kind.group,
        "apiVersion": kind.version,
    }
    annotations = {_REASON: reason, _AUTHOR: (author.username if author else "") or ""}
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": name,
        "stage": "ResponseComplete",
        "requestURI": "",
        "verb": verb,
        "user": {"username": BINDER, "groups": list(_GROUPS)},
        "objectRef": {field: value for field, value in reference.items() if value},
        "responseStatus": {"metadata": {}, "code": 500 if has_failed else 200},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
        "annotations": {key: value for key, value in annotations.items() if value},
    }
    return AuditEntry(
        name=name,
        event=write_json(event).decode(),
        username=BINDER,
        verb=verb,
        resource=kind.plural,
        namespace=metadata.namespace or "",
        object_name=metadata.name,
        object_uid=metadata.uid or "",
        code=event["responseStatus"]["code"],
        related_uids=related,
    )


def _micro_time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
