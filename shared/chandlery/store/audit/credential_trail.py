"""What becomes of the credentials of a binding, as entries of the audit log: made, delivered, rotated, removed. Pure.

Workers have these written in the transaction that records the fact itself, so that the one is never without the other.
They have the form of the gateway's entries, with a name of the system for the user, and the words below for the verb;
whoever the binding was made for stands in an annotation. The uid of the binding finds all of them, and with them what
users have done with the binding and its Secret.
"""

from collections.abc import Mapping
from typing import Final

from chandlery.model.history.system_users import BINDER
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.reasons import BindingReason
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.audit.system_entries import AUTHOR, SUCCESS, subject_of, system_entry

_FAILURE: Final = 500
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
    annotations = {_REASON: fact.reason, AUTHOR: (author.username if author else "") or ""}
    code = _FAILURE if fact.reason in _FAILED else SUCCESS
    return system_entry(verb, subject_of(about), by=BINDER, annotations=annotations, code=code)


def secret_entry(secret: Secret, verb: str, *, by: str = BINDER) -> AuditEntry:
    """The entry of a Secret that credentials were written to, or taken away with; found by its owners' uids, too."""
    owners = tuple(owner.uid for owner in secret.metadata.owner_references or ())
    return system_entry(verb, subject_of(secret), by=by, annotations={}, related=owners)
