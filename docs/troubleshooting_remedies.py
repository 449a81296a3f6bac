# ruff: noqa: INP001, E501, ISC004 - the cells of a table
"""What each reason means and what to do: the rows of `troubleshooting.md`, which `generate_troubleshooting.py` puts together.

Keyed by the members of the reasons themselves, so that a reason without a row, or a row without a reason, is found.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from chandlery.model.objects.reasons import BindingReason as B
from chandlery.model.objects.reasons import BrokerReason as K
from chandlery.model.objects.reasons import InstanceReason as I

Row = tuple[str, str]
"""What happened, and what to do."""

_BY_ITSELF = "work resumes automatically"
_FORGET = "Chandlery retries without end, with growing pauses. Retry now, or end it with `force-delete` or `abandon`"
_WAIVE = "Wait, or retry. If the broker never confirms: `chandlery.io/orphan-mitigation=Waive`"

TYPES: Final[Mapping[str, Row]] = {
    "Ready": (
        "It works.",
        "Nothing. The condition `Reconciling` in `kubectl describe` shows whether a change is under way.",
    ),
    "Failed": (
        "Chandlery has stopped trying this specification.",
        "The message says why. Correct the specification, retry, or delete.",
    ),
    "OrphanMitigation": (
        "A creation failed and may have left something at the broker.",
        "The reasons of this condition and of `Ready` say what happens: see `OrphanMitigationRequired`, "
        "`StartingInstanceOrphanMitigation`, `ServiceBindingNeedsOrphanMitigation`.",
    ),
}
"""STATUS shows the type of the last condition where that is True."""

INSTANCES: Final[Mapping[StrEnum, Row]] = {
    I.PROVISION_IN_FLIGHT: ("The request is being sent to the broker.", "Wait."),
    I.UPDATE_IN_FLIGHT: ("The update request is being sent. The instance works as before (`Reconciling`).", "Wait."),
    I.DEPROVISION_IN_FLIGHT: ("The request is being sent to the broker.", "Wait."),
    I.PROVISIONING: ("The broker is working on it.", "Wait. You can delete at any time."),
    I.UPDATING: ("The broker is working on the update. The instance works as before (`Reconciling`).", "Wait."),
    I.DEPROVISIONING: ("The broker is working on the deletion.", "Wait. Retry sends the deletion again."),
    I.DEPROVISIONED: ("The broker has deleted it.", "Nothing. The object is removed."),
    I.PROVISION_FAILED: (
        "The broker failed or refused. Anything that may have been left has been deleted.",
        "With `Failed`: correct the specification, or retry. Otherwise wait for the next attempt (`status.nextAttemptTime`).",
    ),
    I.ERROR_CALLING_PROVISION: (
        "The broker could not be reached or did not answer.",
        "Wait for the next attempt, or retry now.",
    ),
    I.UPDATE_FAILED: (
        "The update failed. The instance works as before, unless `Ready` is False.",
        "With `Failed`: correct the specification, or retry. Otherwise wait for the next attempt (`Reconciling`).",
    ),
    I.ERROR_CALLING_UPDATE: (
        "The broker could not be reached or did not answer. The instance works as before (`Reconciling`).",
        "Wait for the next attempt, or retry now.",
    ),
    I.ERROR_POLLING: (
        "The broker does not report the state of the operation.",
        "Polling continues until the time limit. You can delete at any time. For a deletion: retry sends it again, and so do ten such "
        "answers in a row. `force-delete` ends it at the next answer, `abandon` without one.",
    ),
    I.STARTING_ORPHAN_MITIGATION: ("Anything a failed creation may have left is being deleted.", f"{_WAIVE}."),
    I.ORPHAN_MITIGATION_REQUIRED: (
        "A failed creation may have left something, and the broker's policy is to ask a person.",
        "`chandlery.io/orphan-mitigation=Automatic` deletes it, `=Waive` keeps it.",
    ),
    I.DEPROVISION_FAILED: (
        "The broker does not confirm the deletion.",
        f"{_FORGET}. For leftovers of a creation: `chandlery.io/orphan-mitigation=Waive`.",
    ),
    I.BLOCKED_BY_BINDINGS: (
        "The instance still has bindings.",
        "Delete them, or `force-delete` the instance together with them.",
    ),
    I.ERROR_WITH_PARAMETERS: (
        "The parameters do not fit the plan's schema, or their Secret cannot be read.",
        "Correct them. The message names each problem.",
    ),
    I.NO_SUCH_CLASS: (
        "The catalog has no such class.",
        f"Register its broker, or choose another class; {_BY_ITSELF}.",
    ),
    I.NO_SUCH_PLAN: (
        "The catalog has no such plan.",
        f"Choose another plan; if this one appears, {_BY_ITSELF}.",
    ),
    I.NO_SUCH_BROKER: (
        "The broker is not registered any more.",
        "Register it again under the same name. To delete the instance without it: `abandon`.",
    ),
    I.DELETED_CLASS: (
        "The broker no longer offers the class.",
        "Choose another class. An existing instance keeps working.",
    ),
    I.DELETED_PLAN: (
        "The broker no longer offers the plan.",
        "Choose another plan. An existing instance keeps working.",
    ),
    I.ERROR_WITH_CREDENTIALS: (
        "The broker's Secret is missing or lacks a key.",
        f"Create or correct it; {_BY_ITSELF}. To delete without the broker: `abandon`.",
    ),
    I.REFUSED: ("The broker refused the creation (reason of `Failed`).", "Correct the specification, or retry."),
    I.RETRY_TIMEOUT: ("All attempts within the time limit failed.", "Retry, correct the specification, or delete."),
    I.EXTERNAL_ID_IN_USE: (
        "Its `externalID` belongs to another instance of the broker, so the broker is not called for this one.",
        "Delete it, which changes nothing at the broker. Create it with another `externalID`, or with none.",
    ),
    I.BROKER_CIRCUIT_OPEN: (
        "The broker keeps failing, so calls to it are paused.",
        "Calls resume automatically when the broker answers a probe. Retry sends this call now.",
    ),
    I.BROKER_RATE_LIMITED: (
        "The broker's rate limit is reached.",
        "Wait, or raise the broker's `spec.rateLimit`.",
    ),
}

BINDINGS: Final[Mapping[StrEnum, Row]] = {
    B.BIND_IN_FLIGHT: ("The request is being sent to the broker.", "Wait."),
    B.UNBIND_IN_FLIGHT: ("The request is being sent to the broker.", "Wait."),
    B.BINDING: ("The broker is working on it.", "Wait. You can delete at any time."),
    B.UNBINDING: ("The broker is working on the unbind.", "Wait. Retry sends the unbind again."),
    B.BIND_FAILED: (
        "The broker failed or refused. Anything that may have been left has been unbound.",
        "With `Failed`: retry, or delete and create again. Otherwise wait for the next attempt (`status.nextAttemptTime`).",
    ),
    B.REFUSED: ("The broker refused the bind (reason of `Failed`).", "Retry, or delete and create again."),
    B.UNBIND_FAILED: ("The broker does not confirm the unbind.", f"{_FORGET}."),
    B.ERROR_INJECTING: (
        "The Secret cannot be written, for instance because another Secret has its name.",
        "Remove the other Secret. The credentials are kept until then.",
    ),
    B.ERROR_EJECTING: (
        "The Secret cannot be deleted.",
        "The message says why. Wait for the next attempt, or retry now.",
    ),
    B.FETCH_FAILED: (
        "The broker has the binding but does not return its credentials.",
        "Wait for the next attempt, retry now, or delete.",
    ),
    B.ERROR_POLLING: (
        "The broker does not report the state of the operation.",
        "As for instances. For a rotation (`Reconciling`): retry starts it again.",
    ),
    B.NO_SUCH_INSTANCE: ("The instance does not exist.", f"Create it; {_BY_ITSELF}."),
    B.INSTANCE_UNRESOLVED: (
        "The class and plan of the instance are not known yet.",
        f"Look at the instance; {_BY_ITSELF}.",
    ),
    B.INSTANCE_NOT_READY: ("The instance is not ready.", f"Look at the instance; {_BY_ITSELF}."),
    B.NOT_BINDABLE: ("The plan is not bindable.", "Delete the binding, or move the instance to another plan."),
    B.NO_SUCH_CLASS: ("The catalog no longer has the class of the instance.", f"Look at the instance; {_BY_ITSELF}."),
    B.NO_SUCH_PLAN: ("The catalog no longer has the plan of the instance.", f"Look at the instance; {_BY_ITSELF}."),
    B.NO_SUCH_BROKER: (
        "The broker is not registered any more.",
        "Register it again under the same name. To delete without it: `abandon`.",
    ),
    B.ASYNC_OPERATION_IN_PROGRESS: (
        "The broker is working on the instance, or on another binding of it.",
        f"Wait; {_BY_ITSELF}.",
    ),
    B.ERROR_WITH_PARAMETERS: (
        "The parameters do not fit the plan's schema, or their Secret cannot be read.",
        "Correct the Secret. To change parameters in the manifest, delete the binding and create it again.",
    ),
    B.ERROR_WITH_CREDENTIALS: (
        "The broker's Secret is missing or lacks a key.",
        f"Create or correct it; {_BY_ITSELF}.",
    ),
    B.STARTING_ORPHAN_MITIGATION: ("Anything a failed bind may have left is being unbound.", f"{_WAIVE}."),
    B.ORPHAN_MITIGATION_FAILED: ("The broker does not unbind what a failed bind may have left.", f"{_WAIVE}."),
    B.ORPHAN_MITIGATION_REQUIRED: (
        "A failed bind may have left something, and the broker's policy is to ask a person.",
        "`chandlery.io/orphan-mitigation=Automatic` unbinds it, `=Waive` keeps it.",
    ),
    B.ASYNC_TIMEOUT: ("The broker did not finish within the time limit.", "Retry, or delete."),
    B.RETRY_TIMEOUT: ("All attempts within the time limit failed.", "Retry, or delete."),
    B.EXTERNAL_ID_IN_USE: (
        "Its `externalID` belongs to another binding of the broker, so the broker is not called for this one.",
        "Delete it, and create it with another `externalID`, or with none.",
    ),
    B.ROTATING: ("New credentials are being created. Those in the Secret stay valid (`Reconciling`).", "Wait."),
    B.ROTATION_PENDING: (
        "A rotation is due, and something it needs is missing (`Reconciling`).",
        f"The message says what; {_BY_ITSELF}.",
    ),
    B.ROTATION_FAILED: (
        "The rotation failed. The credentials in the Secret stay valid (`Reconciling`).",
        "Wait for the next attempt, or retry now.",
    ),
    B.BROKER_CIRCUIT_OPEN: ("The broker keeps failing, so calls to it are paused.", "As for instances."),
    B.BROKER_RATE_LIMITED: ("The broker's rate limit is reached.", "As for instances."),
}

BROKERS: Final[Mapping[StrEnum, Row]] = {
    K.ERROR_FETCHING_CATALOG: (
        "The broker is down, refuses the credentials, or is where [no broker may be](brokers.md). A namespace's broker does not say which; "
        "the syncer's log does.",
        "Wait for the next attempt (`status.nextAttemptTime`), or retry now.",
    ),
    K.ERROR_SYNCING_CATALOG: (
        "The catalog is not valid, or uses ids of another broker.",
        "The message names each field of the catalog. The last valid catalog stays in use.",
    ),
    K.ERROR_GETTING_AUTH_CREDENTIALS: (
        "The broker's Secret is missing or lacks a key.",
        f"Create or correct it; {_BY_ITSELF}.",
    ),
    K.DELETION_BLOCKED: (
        "The broker still has instances, and only the broker can delete them.",
        "Delete them; the message names some. `force-delete` leaves them behind.",
    ),
    K.CIRCUIT_OPENED: (
        "The broker keeps failing, so calls to it are paused (`CircuitOpen`).",
        "Retry sends a probe now.",
    ),
}

NEVER_IN_STATUS: Final = (
    # Of a Ready that is True, which STATUS shows as Ready.
    I.PROVISIONED,
    I.UPDATED,
    I.SERVES_AS_BEFORE,
    B.INJECTED,
    K.FETCHED_CATALOG,
    K.CIRCUIT_CLOSED,
    # Events.
    I.ORPHAN_MITIGATED,
    I.ORPHAN_MITIGATION_WAIVED,
    I.ABANDONED,
    I.FORCE_DELETED,
    I.FETCH_FAILED,
    I.PLAN_DIFFERS,
    I.DASHBOARD_REFUSED,
    B.ORPHAN_MITIGATED,
    B.ORPHAN_MITIGATION_WAIVED,
    B.UNBOUND,
    B.ABANDONED,
    B.FORCE_DELETED,
    B.RESTORED_SECRET,
    B.SECRET_LOST,
    B.IGNORED_BIND_RESULT,
    B.ROTATED,
    B.RETIRED,
    B.RETIREMENT_FAILED,
    B.EXPIRED,
    K.DELETED_CLUSTER_BROKER,
    K.DELETED,
    K.FORCE_DELETED,
    K.CATALOG_CHANGED,
    K.QUESTIONABLE_CATALOG,
)
