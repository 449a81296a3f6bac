"""One operation at a service broker as the operation history tells it: what, why, by whom, what came of it. Plain data.

The words are part of the API (`kubectl get serviceinstanceoperations`), and people select by them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OperationName(StrEnum):
    """What was done; in OSB's words as far as it has one."""

    PROVISION = "Provision"
    UPDATE = "Update"
    DEPROVISION = "Deprovision"
    BIND = "Bind"
    UNBIND = "Unbind"
    ROTATE = "Rotate"
    ORPHAN_MITIGATION = "OrphanMitigation"


class OperationReason(StrEnum):
    """Why it was done."""

    CREATED = "Created"
    SPEC_CHANGED = "SpecChanged"
    UPDATE_REQUESTED = "UpdateRequested"
    """`spec.updateRequests` was raised."""
    RETRY_REQUESTED = "RetryRequested"
    """By annotation."""
    PARAMETERS_CHANGED = "ParametersChanged"
    """The parameters of a Secret that the instance watches."""
    CONTEXT_CHANGED = "ContextChanged"
    """A name or an annotation of where the instance is."""
    DELETED = "Deleted"
    INSTANCE_DELETED = "InstanceDeleted"
    """By force, which takes the bindings along."""
    NAMESPACE_DELETED = "NamespaceDeleted"
    ROTATION_REQUESTED = "RotationRequested"
    """By annotation."""
    RENEWAL_DUE = "RenewalDue"
    """The service broker had said until when the credentials should be replaced."""
    CREDENTIALS_EXPIRE = "CredentialsExpire"
    CREDENTIALS_REPLACED = "CredentialsReplaced"
    """What was in the Secret before is revoked."""
    CREATION_FAILED = "CreationFailed"
    """What it may have left at the service broker is deleted."""
    ROTATION_FAILED = "RotationFailed"
    """The same of a rotation."""


class OperationOutcome(StrEnum):
    """What came of it."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """The service broker has said so for good, or answered what cannot be used."""
    GIVEN_UP = "GivenUp"
    """It took too long, or somebody wanted no more of it."""
    SUPERSEDED = "Superseded"
    """Something else was wanted before it came to an end."""
    UNKNOWN = "Unknown"
    """Nobody looks after its object any more, and what the service broker did last was not recorded."""


@dataclass(frozen=True, kw_only=True)
class OperationWords:
    """What the service broker answered last, or why it did not; from brokers' words secrets are struck already."""

    broker_status: int | None = None
    """HTTP status; None if there was no answer."""
    message: str = ""
    is_failure: bool = False


@dataclass(frozen=True, kw_only=True)
class RecordedOperation:
    """What the history is told of an operation when it begins, when a try of it has failed, and when it ends.

    Name, start and external id tell which operation of the object it is. What was told at first of why, by whom and of
    whom stays, whatever is told later.
    """

    operation: OperationName
    started_at: datetime
    external_id: str
    """By which the service broker knows what it is about."""
    reason: OperationReason
    requested_by: str
    """On whose behalf; a name of the system where nobody asked for it."""
    instance_name: str
    attempts: int
    """Requests that were answered, or got no answer; polls are not counted."""
    outcome: OperationOutcome
    words: OperationWords | None = None
    """None leaves what is known."""
    ended_at: datetime | None = None
