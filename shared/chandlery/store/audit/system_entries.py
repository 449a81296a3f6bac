"""Entries of the audit log about what was done past the API: by workers, and by commands on the database itself. Pure.

They have the form of the gateway's entries, with a name of the system for the user.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.text.time_ordered_ids import time_ordered_id
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.telemetry.current_trace import current_trace_id

COMMAND: Final = "system:chandlery:command"
"""Somebody at a shell, who has the settings of the database."""
AUTHOR: Final = "audit.chandlery.io/author"
"""The annotation that tells for whom; of a command, the login at the machine."""
SUCCESS: Final = 200
TRACE_ID: Final = "audit.chandlery.io/trace-id"
"""The annotation that tells in which trace it was done."""
_GROUPS: Final = ("system:chandlery",)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was done something with."""

    resource: str
    name: str
    namespace: str = ""
    uid: str = ""
    api_group: str = ""
    api_version: str = ""
    subresource: str = ""

    @property
    def reference(self) -> Mapping[str, str]:
        """As an event has it."""
        fields = {
            "resource": self.resource,
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "apiGroup": self.api_group,
            "apiVersion": self.api_version,
            "subresource": self.subresource,
        }
        return {name: value for name, value in fields.items() if value}


def subject_of(document: AnyObject) -> Subject:
    """An object, as what something was done with."""
    kind, metadata = kind_of(document), document.metadata
    return Subject(
        resource=kind.plural,
        namespace=metadata.namespace or "",
        name=metadata.name,
        uid=metadata.uid or "",
        api_group=kind.group,
        api_version=kind.version,
    )


def system_entry(
    verb: str,
    subject: Subject,
    *,
    by: str,
    annotations: Mapping[str, str],
    code: int = SUCCESS,
    related: tuple[str, ...] = (),
) -> AuditEntry:
    """The entry. Annotations that are empty are left out."""
    now = time.time_ns()
    annotations = {**annotations, TRACE_ID: current_trace_id()}
    name, moment = time_ordered_id(now), _micro_time(now)
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": name,
        "stage": "ResponseComplete",
        "requestURI": "",
        "verb": verb,
        "user": {"username": by, "groups": list(_GROUPS)},
        "objectRef": subject.reference,
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
        "annotations": {key: value for key, value in annotations.items() if value},
    }
    return AuditEntry(
        name=name,
        event=write_json(event).decode(),
        username=by,
        verb=verb,
        resource=subject.resource,
        namespace=subject.namespace,
        object_name=subject.name,
        object_uid=subject.uid,
        code=code,
        related_uids=related,
    )


def _micro_time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
