"""The state machine of a service instance, second half: snapshot and the broker's answer -> change. Pure.

The rules are those of the OSB table of orphan mitigation and of the reference's conditions; a 400 to a provision or an
update is final for this generation, everything else is tried again by schedule until the operation's time is up.
`provision_answers.py`, `update_answers.py`, `deprovision_answers.py` and `poll_answers.py` have them, one request each.
"""

from datetime import datetime

from chandlery.model.conditions import ConditionStatus
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.actions import Refuse, Wait
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_provisioner.deprovision_answers import absorb_deprovision
from chandlery_provisioner.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.instance_ends import give_up
from chandlery_provisioner.instance_notes import InFlight, Purpose
from chandlery_provisioner.instance_snapshot import (
    InstanceSnapshot,
)
from chandlery_provisioner.poll_answers import absorb_poll
from chandlery_provisioner.provision_answers import absorb_provision
from chandlery_provisioner.update_answers import absorb_update

_IN_FLIGHT = {
    Purpose.PROVISION: (
        InstanceReason.PROVISION_IN_FLIGHT,
        "Provision request for ServiceInstance in-flight to Broker",
    ),
    Purpose.UPDATE: (InstanceReason.UPDATE_IN_FLIGHT, "Update request for ServiceInstance in-flight to Broker"),
    Purpose.DEPROVISION: (
        InstanceReason.DEPROVISION_IN_FLIGHT,
        "Deprovision request for ServiceInstance in-flight to Broker",
    ),
}


def absorb(snapshot: InstanceSnapshot, sent: InFlight, answer: Answer, now: datetime) -> InstanceChange:
    """What the answer to `sent` changes."""
    draft = InstanceDraft.begin(snapshot, sent, now)
    if answer.verdict == Verdict.UNREACHABLE:
        draft.keep_open()
    match sent.purpose:
        case Purpose.PROVISION:
            return absorb_provision(draft, sent, answer)
        case Purpose.UPDATE:
            return absorb_update(draft, sent, answer)
        case Purpose.DEPROVISION | Purpose.MITIGATE:
            return absorb_deprovision(draft, answer)
        case Purpose.POLL:
            return absorb_poll(draft, answer)


def wait(snapshot: InstanceSnapshot, action: Wait, now: datetime) -> InstanceChange:
    """Say what is missing, and come back when it is there, or after a while."""
    draft = InstanceDraft(snapshot, now)
    unknown = snapshot.is_deleted and action.reason != InstanceReason.BLOCKED_BY_BINDINGS
    status = ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE
    draft.ready(status, action.reason, message=action.message)
    draft.say(action.reason, action.message, is_warning=True)
    return draft.wait(action.waiting_for)


def refuse(snapshot: InstanceSnapshot, action: Refuse, now: datetime) -> InstanceChange:
    """A wish that cannot be granted fails for this generation."""
    draft = InstanceDraft(snapshot, now)
    draft.observe(snapshot.generation)
    return give_up(draft, action.reason, action.reason, message=action.message)


def finish(snapshot: InstanceSnapshot, now: datetime) -> InstanceChange:
    """Nothing is left at the broker: let the object go."""
    return InstanceDraft(snapshot, now).gone()


def idle(snapshot: InstanceSnapshot, now: datetime) -> InstanceChange:
    """Nothing to do."""
    return InstanceDraft(snapshot, now).rest()


def announce(snapshot: InstanceSnapshot, sent: InFlight, now: datetime) -> InstanceChange:
    """The status while a call takes its time."""
    draft = InstanceDraft.begin(snapshot, sent, now)
    if sent.purpose in _IN_FLIGHT:
        reason, message = _IN_FLIGHT[sent.purpose]
        draft.ready(ConditionStatus.FALSE, reason, message=message)
    return draft.rest()
