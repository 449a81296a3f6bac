"""What is to be written to the platform, as data: decisions return it, and whoever carries it out chooses the moment.

Each may be carried out twice: a Secret is replaced by the same one, a missing one is not deleted, an event is counted.
"""

from dataclasses import dataclass, field

from chandlery.model.objects.core import RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject


@dataclass(frozen=True)
class WriteSecret:
    """Create the Secret, or replace the data of one with the same controller."""

    secret: Secret = field(repr=False)


@dataclass(frozen=True)
class DeleteSecret:
    """Delete the Secret if this owner controls it; anybody else's is left alone, a missing one is fine."""

    namespace: str
    name: str
    owner_uid: str


@dataclass(frozen=True)
class RecordEvent:
    """Record an event about an object, for people to read."""

    about: AnyObject
    fact: RecordedFact


PlatformWrite = WriteSecret | DeleteSecret | RecordEvent
