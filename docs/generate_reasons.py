# ruff: noqa: INP001, E501 - a script, with the cells of a table
"""Writes `docs/reasons.md`: every reason of conditions, events and operations, from the code and the remedies beside this script.

python docs/generate_reasons.py            # write it
python docs/generate_reasons.py --check    # exit 1 if it is stale
"""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chandlery.model.history.recorded_operations import OperationReason as O  # noqa: E402
from chandlery.model.objects.reasons import BindingReason as B  # noqa: E402
from chandlery.model.objects.reasons import BrokerReason as K  # noqa: E402
from chandlery.model.objects.reasons import InstanceReason as I  # noqa: E402
from chandlery.model.objects.reasons import OfferingReason as F  # noqa: E402
from chandlery.model.objects.reasons import StoredDataReason as D  # noqa: E402
from docs.generated_page import table, write_or_check  # noqa: E402
from docs.troubleshooting_remedies import BINDINGS, BROKERS, INSTANCES  # noqa: E402

PAGE: Final = Path(__file__).with_name("reasons.md")
# What STATUS never shows: of a Ready that is True, and of events. Kinds have words in common, so each has a table.
_OF_INSTANCES: Final[Mapping[StrEnum, str]] = {
    I.PROVISIONED: "The service broker has it. `Ready` is True.",
    I.UPDATED: "The service broker has taken over the change. `Ready` is True.",
    I.SERVES_AS_BEFORE: "It works as before, while `Reconciling` says what is wanted besides. `Ready` is True.",
    I.ORPHAN_MITIGATED: "What a failed creation may have left at the service broker is deleted there.",
    I.ORPHAN_MITIGATION_WAIVED: "Somebody has waived the deletion of what a failed creation may have left at the service broker; it may still be there.",
    I.ABANDONED: "The object was given up without a call; the service broker may still have it.",
    I.FORCE_DELETED: "The object was removed after one more call, whatever the service broker answered; it may still have it.",
    I.FETCH_FAILED: "The service broker could not say what it has of the instance, which was asked after an update that failed.",
    I.PLAN_DIFFERS: "The service broker has the instance with another plan than the one that was asked for.",
    I.DASHBOARD_REFUSED: "The address of the dashboard that the service broker gave is none that a browser may be sent to.",
}
_OF_BINDINGS: Final[Mapping[StrEnum, str]] = {
    B.INJECTED: "The credentials are in the Secret. `Ready` is True.",
    B.ORPHAN_MITIGATED: "What a failed binding may have left at the service broker is deleted there.",
    B.ORPHAN_MITIGATION_WAIVED: "Somebody has waived the deletion of what a failed binding may have left at the service broker; it may still be there.",
    B.UNBOUND: "The credentials are revoked at the service broker, and the Secret is gone.",
    B.ABANDONED: "The binding was given up without a call; its credentials may still be valid.",
    B.FORCE_DELETED: "The binding was removed after one more call, whatever the service broker answered; its credentials may still be valid.",
    B.RESTORED_SECRET: "The Secret was deleted or changed by somebody, and has been written again.",
    B.SECRET_LOST: "The Secret is gone and its content cannot be had again; rotate the credentials.",
    B.IGNORED_BIND_RESULT: "The service broker answered with something that a binding has no place for; the message names it.",
    B.ROTATED: "New credentials are in the Secret; the old ones are revoked after a grace period.",
    B.RETIRED: "Credentials that are in no Secret any more have been revoked.",
    B.RETIREMENT_FAILED: "The service broker does not confirm that old credentials are revoked; it is tried again.",
    B.EXPIRED: "The service broker had said until when the credentials are valid, and that time has come.",
}
_OF_BROKERS: Final[Mapping[StrEnum, str]] = {
    K.FETCHED_CATALOG: "Classes and plans are those of the service broker's catalog. `Ready` is True.",
    K.CIRCUIT_CLOSED: "The service broker answers again, and calls to it have resumed.",
    K.DELETED_CLUSTER_BROKER: "The cluster-wide service broker is gone, with its classes and plans.",
    K.DELETED: "The service broker of a namespace is gone, with its classes and plans.",
    K.FORCE_DELETED: "The service broker was removed although instances of it exist; nobody can call it for them any more.",
    K.CATALOG_CHANGED: "The catalog has changed; the message says what has come, gone and changed.",
    K.QUESTIONABLE_CATALOG: "A part of the catalog is not sound and was left out, or is taken with a doubt; the message names it.",
}
_OF_OFFERINGS: Final[Mapping[StrEnum, str]] = {
    F.REMOVED: "The service broker does not offer the class or plan any more; it stays as long as instances use it.",
    F.RETURNED: "The service broker offers the class or plan again.",
}
_OF_ANY: Final[Mapping[StrEnum, str]] = {
    D.NOTE_LOST: "The last request to the service broker is unknown, because its stored copy cannot be decrypted; the next is decided from the current state.",
}
_OPERATIONS: Final[Mapping[StrEnum, str]] = {
    O.CREATED: "The object was created.",
    O.SPEC_CHANGED: "Its specification was changed.",
    O.UPDATE_REQUESTED: "`spec.updateRequests` was raised.",
    O.RETRY_REQUESTED: "Somebody asked for it with `chandlery.io/retry-requested-at`.",
    O.PARAMETERS_CHANGED: "The parameters of a Secret that the instance watches have changed.",
    O.CONTEXT_CHANGED: "A name or an annotation of where the instance is has changed.",
    O.DELETED: "The object was deleted.",
    O.INSTANCE_DELETED: "The binding's instance was deleted by force, which takes its bindings along.",
    O.NAMESPACE_DELETED: "The namespace was deleted, with all that is in it.",
    O.ROTATION_REQUESTED: "Somebody asked for new credentials with `chandlery.io/rotate-requested-at`.",
    O.RENEWAL_DUE: "The service broker had said when the credentials should be replaced.",
    O.CREDENTIALS_EXPIRE: "The credentials are about to expire.",
    O.CREDENTIALS_REPLACED: "What was in the Secret before is revoked.",
    O.CREATION_FAILED: "What a failed creation may have left at the service broker is deleted.",
    O.ROTATION_FAILED: "What a failed rotation may have left at the service broker is deleted.",
}
_HEAD: Final = """\
# Reasons

<!-- Written by docs/generate_reasons.py from shared/chandlery/model and docs/troubleshooting_remedies.py; edit there. -->

The words by which Chandlery says why something is as it is. They are part of the API: scripts may go by them, and they change only as the
[releases](releases.md) allow. A reason stands in a condition (`status.conditions[].reason`, shown under STATUS while the object is not ready), or in an event
(`kubectl events`); most changes of a condition are an event, too. Messages beside them are for people, and may change at any time.

What helps in each state: [Troubleshooting](troubleshooting.md#what-status-says). Answers of the API that refuse something have the reasons that
Kubernetes has for them (`Invalid`, `NotFound`, `Conflict`, `Forbidden`, …): [API](api.md).
"""
_NO_ROWS: Final[Mapping[StrEnum, tuple[str, str]]] = {}
_SECTIONS: Final = (
    ("Instances", I, INSTANCES, _OF_INSTANCES),
    ("Bindings", B, BINDINGS, _OF_BINDINGS),
    ("Service brokers", K, BROKERS, _OF_BROKERS),
    ("Classes and plans", F, _NO_ROWS, _OF_OFFERINGS),
    ("Any object", D, _NO_ROWS, _OF_ANY),
)
_READY: Final = "`Ready` is True."
_OPERATIONS_HEAD: Final = """\
## Operations

Why something was done at a service broker: column REASON of `kubectl get serviceinstanceoperations,servicebindingoperations`.

"""
_TITLES: Final = ["reason", "in", "what it means"]


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, reasons, rows, others in _SECTIONS:
        lines = [[f"`{each}`", *_told(each, rows, others)] for each in sorted(reasons)]
        parts.append(f"## {title}\n\n{table(_TITLES, lines)}")
    lines = [[f"`{each}`", _OPERATIONS[each]] for each in sorted(O)]
    return "\n".join([*parts, f"{_OPERATIONS_HEAD}{table(['reason', 'what was the cause'], lines)}"])


def missing() -> list[str]:
    """Reasons of which nothing is said here nor in the remedies, and those of which two things are."""
    found = [
        f"{reasons.__name__}.{each.name}"
        for _, reasons, rows, others in _SECTIONS
        for each in reasons
        if (each in rows) == (each in others)
    ]
    return [*found, *(f"{type(each).__name__}.{each.name}" for each in O if each not in _OPERATIONS)]


def _told(reason: StrEnum, rows: Mapping[StrEnum, tuple[str, str]], others: Mapping[StrEnum, str]) -> tuple[str, str]:
    if reason in rows:
        return "condition", rows[reason][0]
    return ("condition" if others[reason].endswith(_READY) else "event"), others[reason]


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; the exit status."""
    if unnamed := missing():
        sys.stderr.write(f"docs/generate_reasons.py says nothing, or two things, of: {', '.join(unnamed)}\n")
        return 1
    return write_or_check(PAGE, page(), arguments, script="generate_reasons.py")


if __name__ == "__main__":
    sys.exit(main())
