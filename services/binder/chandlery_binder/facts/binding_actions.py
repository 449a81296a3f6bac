"""What the state machine of a binding may decide. Plain data, no I/O."""

from dataclasses import dataclass, field

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import Disown, Finish, Idle, Refuse, Wait
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.rotation_notes import BackgroundOperation, Placement


@dataclass(frozen=True)
class Abandon:
    """Forget the binding without its broker: a user wants it so."""


@dataclass(frozen=True)
class ForceFinish:
    """Forget the binding because its broker cannot even be asked, and a user wants it gone all the same."""

    why: str


@dataclass(frozen=True)
class Postpone:
    """Something is missing for what is to be done beside a binding that stays ready."""

    reason: str
    message: str
    waiting_for: str | None


@dataclass(frozen=True)
class ReportLost:
    """The Secret is gone and nobody has a copy of what was in it."""


@dataclass(frozen=True)
class Bind:
    """Ask the broker for credentials."""

    placement: Placement
    parameters: JsonObject | None = field(repr=False)
    accepts_incomplete: bool


@dataclass(frozen=True)
class Unbind:
    """Ask the broker to revoke a binding, or what may be left of one."""

    placement: Placement
    is_mitigation: bool


@dataclass(frozen=True)
class PollBinding:
    """Ask the broker how far its operation is."""

    placement: Placement
    operation: str | None


@dataclass(frozen=True)
class FetchCredentials:
    """Ask the broker for the credentials of an asynchronous bind."""

    placement: Placement


@dataclass(frozen=True)
class Inject:
    """Try again to write the Secret, with credentials from an earlier round."""

    credentials: JsonObject = field(repr=False)


@dataclass(frozen=True)
class Restore:
    """Write the Secret again, with what it had."""

    credentials: JsonObject = field(repr=False)


@dataclass(frozen=True)
class Recover:
    """Ask the broker for what was in the Secret."""

    placement: Placement


@dataclass(frozen=True)
class Rotate:
    """Ask the broker for credentials that take the place of those in the Secret; the new id is made when it is sent."""

    placement: Placement
    predecessor: Placement | None
    """None for a bind of its own, where the broker knows no rotation."""
    parameters: JsonObject | None = field(repr=False)
    accepts_incomplete: bool


@dataclass(frozen=True)
class Retire:
    """Ask the broker to revoke what is not in the Secret any more."""

    placement: Placement


@dataclass(frozen=True)
class PollBackgroundOperation:
    """Ask the broker how far a background operation is, or for the credentials of a rotation that has ended well."""

    background_operation: BackgroundOperation


@dataclass(frozen=True)
class TryAgain:
    """A user wants it tried again: what has failed before counts no more."""


@dataclass(frozen=True)
class StartMitigation:
    """What may be left at the broker, and was in question or waived, is to be unbound."""


Call = (
    Bind
    | Unbind
    | PollBinding
    | FetchCredentials
    | Inject
    | Repeat[OpenBindingRequest]
    | Restore
    | Recover
    | Rotate
    | Retire
    | PollBackgroundOperation
)
RequestedAction = TryAgain | WaiveMitigation | AwaitMitigationDecision | StartMitigation
Uncalled = Idle | Finish | Wait | Refuse | Abandon | Disown | ForceFinish | Postpone | ReportLost | RequestedAction
Action = Uncalled | Call
