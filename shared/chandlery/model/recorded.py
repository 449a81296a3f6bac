"""What is to be recorded about an object as a Kubernetes event."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordedFact:
    """A reason for machines, a sentence for people, and whether it is a warning."""

    reason: str
    message: str
    is_warning: bool = False
