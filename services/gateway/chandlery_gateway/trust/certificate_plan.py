"""What is to be done about the certificate that gateways make for themselves: decided from what there is, and when.

Clients know the gateway by its authority, so a new authority is made known first, and signs nothing until everybody
knows it: the old certificate is shown meanwhile. The old authority is known for another day, for gateways that have
not seen the new certificate yet.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from chandlery_gateway.trust.certificate_making import LEAF_VALID, issue_leaf, make_authority
from chandlery_gateway.trust.stored_certificates import StoredCertificate

_RENEWED_BEFORE_END: Final = LEAF_VALID / 3
_AUTHORITY_RENEWED_BEFORE_END: Final = timedelta(days=365)
_OLD_IS_KNOWN: Final = timedelta(days=1)


class Step(Enum):
    """One thing at a time: what comes next is seen when this is done."""

    KEEP = "keep"
    BEGIN = "begin"
    """An authority and a certificate: there is nothing that could be gone on with."""
    NEW_AUTHORITY = "new authority"
    """One more, which is made known; the certificate stays."""
    NEW_CERTIFICATE = "new certificate"
    DROP_AUTHORITY = "drop authority"
    """Those that signed earlier certificates are forgotten."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known."""

    stored: StoredCertificate | None
    names: Sequence[str]
    """Of the gateway's Service; the first one is the certificate's own."""
    known: Collection[frozenset[str]]
    """Of each APIService of ours: the authorities in its `caBundle`."""
    now: datetime


def plan(facts: Facts) -> Step:
    """What to do next."""
    stored, now = facts.stored, facts.now
    if stored is None or stored.authorities[0].not_valid_after_utc <= now:
        return Step.BEGIN
    if stored.authorities[0].not_valid_after_utc - _AUTHORITY_RENEWED_BEFORE_END <= now:
        return Step.NEW_AUTHORITY
    issuer, is_over = stored.issuer, stored.ends_at <= now
    if issuer != stored.bundle[0] or stored.names != frozenset(facts.names) or _is_due(stored, now):
        # Nobody believes the old one either once it is over.
        is_known = all(stored.bundle[0] in known for known in facts.known)
        return Step.NEW_CERTIFICATE if is_known or is_over or issuer is None else Step.KEEP
    if len(stored.bundle) > 1 and stored.certificate.not_valid_before_utc + _OLD_IS_KNOWN <= now:
        return Step.DROP_AUTHORITY
    return Step.KEEP


def carried_out(step: Step, facts: Facts) -> StoredCertificate:
    """What is stored once that is done. Raises ValueError if the step is not one for these facts."""
    stored, now = facts.stored, facts.now
    if step is Step.BEGIN:
        authority = make_authority(now)
        return StoredCertificate(issue_leaf(authority, facts.names, now), (authority.certificate,), authority.key)
    if stored is None:
        raise ValueError("there is nothing that could be gone on with")
    match step:
        case Step.NEW_AUTHORITY:
            authority = make_authority(now)
            bundle = (authority.certificate, *_still_needed(stored))
            return StoredCertificate(stored.leaf, bundle, authority.key)
        case Step.NEW_CERTIFICATE:
            return replace(stored, leaf=issue_leaf(stored.authority, facts.names, now))
        case Step.DROP_AUTHORITY:
            return replace(stored, bundle=stored.bundle[:1])
        case _:
            return stored


def _is_due(stored: StoredCertificate, now: datetime) -> bool:
    return stored.ends_at - _RENEWED_BEFORE_END <= now


def _still_needed(stored: StoredCertificate) -> tuple[str, ...]:
    """The authority of the certificate that is shown: so there are never more than two."""
    issuer = stored.issuer
    return (issuer,) if issuer is not None else ()
