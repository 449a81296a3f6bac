"""What is kept beside a binding that nobody may read: a request of unknown fate, and credentials. Plain data.

Its stored form is that of the first release, in which one purpose says what the credentials are, so that what is stored
stays readable to the releases before and after.
"""

from dataclasses import dataclass, field
from typing import Final, Self

from chandlery.model.objects.wire import JsonObject
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest

_DELIVERED: Final = "delivered"
_CREDENTIALS: Final = "credentials"
_OF_A_COPY: Final = (_DELIVERED, BindingPurpose.RESTORE)


@dataclass(frozen=True, kw_only=True)
class SealedNotes:
    """Each of the three is there or not. Credentials stay, since a broker may never give them again."""

    request: OpenBindingRequest | None = None
    """What was sent, and nobody knows what came of it."""
    undelivered: JsonObject | None = field(default=None, repr=False)
    """Credentials that no Secret could take yet."""
    delivered: JsonObject | None = field(default=None, repr=False)
    """A copy of what is in the Secret; absent for bindings from before copies were kept."""

    @classmethod
    def from_stored(cls, stored: JsonObject | None) -> Self:
        """Read what `stored` has made, now or in an earlier release."""
        if not stored:
            return cls()
        rest = dict(stored)
        purpose, credentials, delivered = rest["purpose"], rest.pop(_CREDENTIALS, None), rest.pop(_DELIVERED, None)
        if purpose in _OF_A_COPY:
            return cls(delivered=credentials if delivered is None else delivered)
        if purpose == BindingPurpose.INJECT:
            return cls(undelivered=credentials)
        return cls(request=OpenBindingRequest.model_validate(rest), delivered=delivered)

    def stored(self) -> JsonObject | None:
        """The JSON object that is sealed; None if there is nothing to keep."""
        if self.undelivered is not None:
            return {"purpose": str(BindingPurpose.INJECT), _CREDENTIALS: self.undelivered}
        kept = {} if self.delivered is None else {_DELIVERED: self.delivered}
        if self.request is not None:
            return {**self.request.to_wire(), **kept}
        return {"purpose": _DELIVERED, _CREDENTIALS: self.delivered} if kept else None


NOTHING_SEALED: Final = SealedNotes()
