# ruff: noqa: INP001, E501, ISC004 - the cells of a table
"""What each reason means and what helps: the words of `ways-out.md`, which `generate_ways_out.py` puts together.

Keyed by the members of the reasons themselves, so that a new reason without words, or words without a reason, is found.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from chandlery.model.objects.reasons import BindingReason as B
from chandlery.model.objects.reasons import BrokerReason as K
from chandlery.model.objects.reasons import InstanceReason as I

Words = tuple[str, str]
"""What has happened, and what helps."""

_BY_ITSELF = "it goes on by itself"
_FORGET = "it is asked for ever, with longer pauses; retry asks now, `force-delete` or `abandon` ends it"
_WAIVE = "wait, or retry; if the broker never agrees: `chandlery.io/orphan-mitigation=Waive`"

TYPES: Final[Mapping[str, Words]] = {
    "Ready": ("it works", "nothing to do; `kubectl describe` shows by `Reconciling` whether another state is wanted"),
    "Failed": ("nothing more is tried for this specification", "the message says why: correct it, retry, or delete"),
    "OrphanMitigation": (
        "a creation failed and may have left something at the broker",
        "the reason of this condition and of `Ready` say what is done: see `OrphanMitigationRequired`, "
        "`StartingInstanceOrphanMitigation`, `ServiceBindingNeedsOrphanMitigation`",
    ),
}
"""STATUS shows the type of the last condition where that is True."""

INSTANCES: Final[Mapping[StrEnum, Words]] = {
    I.PROVISION_IN_FLIGHT: ("the broker is being asked", "wait"),
    I.UPDATE_IN_FLIGHT: ("the broker is being asked; the instance serves as before (`Reconciling`)", "wait"),
    I.DEPROVISION_IN_FLIGHT: ("the broker is being asked", "wait"),
    I.PROVISIONING: ("the broker is at work", "wait; deleting works at once"),
    I.UPDATING: ("the broker is at work; the instance serves as before (`Reconciling`)", "wait"),
    I.DEPROVISIONING: ("the broker is at work", "wait; retry sends the deletion again"),
    I.DEPROVISIONED: ("it is gone at the broker", "nothing to do: the object goes"),
    I.PROVISION_FAILED: (
        "the broker has failed or refused; what that may have left has been deleted",
        "with `Failed`: correct the specification, or retry. Else it is tried again, see `status.nextAttemptTime`",
    ),
    I.ERROR_CALLING_PROVISION: ("the broker was not reached, or has not answered", "it is tried again; retry now"),
    I.UPDATE_FAILED: (
        "the update failed; the instance works as before, unless `Ready` is False",
        "with `Failed`: correct the specification, or retry. Else it is tried again (`Reconciling`)",
    ),
    I.ERROR_CALLING_UPDATE: (
        "the broker was not reached, or has not answered; the instance works as before (`Reconciling`)",
        "it is tried again; retry now",
    ),
    I.ERROR_POLLING: (
        "the broker does not say how far it is",
        "it is polled until its time is over; deleting works at once. Of a deletion: retry sends it again, ten such answers in a "
        "row do too, `force-delete` ends it at the next one, `abandon` without one",
    ),
    I.STARTING_ORPHAN_MITIGATION: ("what a creation may have left is being deleted", _WAIVE),
    I.ORPHAN_MITIGATION_REQUIRED: (
        "a creation may have left something, and the policy is to ask people",
        "`chandlery.io/orphan-mitigation=Automatic` deletes it, `=Waive` leaves it",
    ),
    I.DEPROVISION_FAILED: ("the broker does not delete", f"{_FORGET}; of what a creation may have left: `=Waive`"),
    I.BLOCKED_BY_BINDINGS: ("bindings are left", "delete them, or `force-delete` the instance with them"),
    I.ERROR_WITH_PARAMETERS: (
        "parameters break the plan's schema, or their Secret cannot be read",
        "correct them; each problem is named",
    ),
    I.NO_SUCH_CLASS: (
        "the catalog does not have what the instance names",
        f"register the broker, or name another; {_BY_ITSELF}",
    ),
    I.NO_SUCH_PLAN: (
        "the catalog does not have what the instance names",
        f"name another plan; {_BY_ITSELF} if it comes",
    ),
    I.NO_SUCH_BROKER: (
        "the broker has been taken away",
        "register it again under the same name; to let the instance go without it: `abandon`",
    ),
    I.DELETED_CLASS: (
        "the broker no longer offers it",
        "choose another class; an instance that exists goes on working",
    ),
    I.DELETED_PLAN: ("the broker no longer offers it", "choose another plan; an instance that exists goes on working"),
    I.ERROR_WITH_CREDENTIALS: (
        "the broker's Secret is missing or has not the right keys",
        f"create it; {_BY_ITSELF}. To let go: `abandon`",
    ),
    I.REFUSED: ("the broker has refused the creation (reason of `Failed`)", "correct the specification, or retry"),
    I.RETRY_TIMEOUT: ("it has failed for too long", "retry, correct, or delete"),
    I.EXTERNAL_ID_IN_USE: (
        "its `externalID` belongs to another instance of the broker, which is asked nothing for this one",
        "delete it, which touches nothing at the broker; create it with another `externalID`, or with none",
    ),
    I.BROKER_CIRCUIT_OPEN: (
        "its broker fails and is left alone for a while",
        f"{_BY_ITSELF} once the broker answers; retry tries this one now",
    ),
    I.BROKER_RATE_LIMITED: (
        "its broker takes only so many requests in a second",
        "wait for its turn, or raise the broker's `spec.rateLimit`",
    ),
}

BINDINGS: Final[Mapping[StrEnum, Words]] = {
    B.BIND_IN_FLIGHT: ("the broker is being asked", "wait"),
    B.UNBIND_IN_FLIGHT: ("the broker is being asked", "wait"),
    B.BINDING: ("the broker is at work", "wait; deleting works at once"),
    B.UNBINDING: ("the broker is at work", "wait; retry sends the unbind again"),
    B.BIND_FAILED: (
        "the broker has failed or refused; what that may have left has been unbound",
        "with `Failed`: retry, or delete and create again. Else it is tried again, see `status.nextAttemptTime`",
    ),
    B.REFUSED: ("the broker has refused (reason of `Failed`)", "retry, or delete and create again"),
    B.UNBIND_FAILED: ("the broker does not revoke", _FORGET),
    B.ERROR_INJECTING: (
        "the Secret cannot be written, for instance because it is somebody else's",
        "take the other Secret away; the credentials are kept until then",
    ),
    B.ERROR_EJECTING: ("the Secret cannot be deleted", "look at the message; it is tried again"),
    B.FETCH_FAILED: (
        "the broker has the binding and does not show its credentials",
        "it is asked again; retry now, or delete",
    ),
    B.ERROR_POLLING: (
        "the broker does not say how far it is",
        "as for instances; of a rotation (`Reconciling`): retry begins it anew",
    ),
    B.NO_SUCH_INSTANCE: ("the instance is not there", f"create it; {_BY_ITSELF}"),
    B.INSTANCE_UNRESOLVED: ("the instance has not found its class and plan", f"see the instance; {_BY_ITSELF}"),
    B.INSTANCE_NOT_READY: ("the instance is not ready", f"see the instance; {_BY_ITSELF}"),
    B.NOT_BINDABLE: ("the plan cannot be bound", "delete the binding; for another plan change the instance's"),
    B.NO_SUCH_CLASS: ("the instance's class is not in the catalog", f"see the instance; {_BY_ITSELF}"),
    B.NO_SUCH_PLAN: ("the instance's plan is not in the catalog", f"see the instance; {_BY_ITSELF}"),
    B.NO_SUCH_BROKER: ("the broker has been taken away", "register it again under the same name; to let go: `abandon`"),
    B.ASYNC_OPERATION_IN_PROGRESS: ("the broker is at work on the instance, or on another binding of it", _BY_ITSELF),
    B.ERROR_WITH_PARAMETERS: (
        "parameters break the plan's schema, or their Secret cannot be read",
        "correct the Secret; parameters in the manifest need another binding",
    ),
    B.ERROR_WITH_CREDENTIALS: ("the broker's Secret is missing or has not the right keys", f"create it; {_BY_ITSELF}"),
    B.STARTING_ORPHAN_MITIGATION: ("what a bind may have left is being unbound", _WAIVE),
    B.ORPHAN_MITIGATION_FAILED: ("what a bind may have left is not unbound", _WAIVE),
    B.ORPHAN_MITIGATION_REQUIRED: (
        "a bind may have left something, and the policy is to ask people",
        "`chandlery.io/orphan-mitigation=Automatic` unbinds it, `=Waive` leaves it",
    ),
    B.ASYNC_TIMEOUT: ("the broker did not come to an end in its time", "retry; or delete"),
    B.RETRY_TIMEOUT: ("it has failed for too long", "retry; or delete"),
    B.EXTERNAL_ID_IN_USE: (
        "its `externalID` belongs to another binding of the broker, which is asked nothing for this one",
        "delete it; create it with another `externalID`, or with none",
    ),
    B.ROTATING: ("other credentials are being made; those in the Secret are good (`Reconciling`)", "wait"),
    B.ROTATION_PENDING: ("other credentials are wanted, and something is missing (`Reconciling`)", _BY_ITSELF),
    B.ROTATION_FAILED: (
        "other credentials were not made; those in the Secret are good (`Reconciling`)",
        "it is tried again; retry now",
    ),
    B.BROKER_CIRCUIT_OPEN: ("its broker fails and is left alone for a while", "as for instances"),
    B.BROKER_RATE_LIMITED: ("its broker takes only so many requests in a second", "as for instances"),
}

BROKERS: Final[Mapping[StrEnum, Words]] = {
    K.ERROR_FETCHING_CATALOG: (
        "it is down, or refuses our credentials",
        "it is asked again, see `status.nextAttemptTime`; retry now",
    ),
    K.ERROR_SYNCING_CATALOG: (
        "its catalog breaks the rules, or takes ids of another broker",
        "the message names each place in the catalog; the last good catalog stays in use",
    ),
    K.ERROR_GETTING_AUTH_CREDENTIALS: ("its Secret is missing or has not the right keys", f"create it; {_BY_ITSELF}"),
    K.DELETION_BLOCKED: (
        "instances are left, and only the broker can delete them",
        "delete them, the message names some; `force-delete` leaves them behind",
    ),
    K.CIRCUIT_OPENED: ("it fails and is left alone for a while (`CircuitOpen`)", "retry tries it now"),
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
