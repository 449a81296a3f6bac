"""What is to be recorded about an object as a Kubernetes event."""

from dataclasses import dataclass

from chandlery.model.text.clean_text import clean_event


@dataclass(frozen=True)
class RecordedFact:
    """A reason for machines, a sentence for people, and whether it is a warning."""

    reason: str
    message: str
    is_warning: bool = False

    def __post_init__(self) -> None:
        # Whoever records it, and whatever it repeats: it is fit to be shown.
        object.__setattr__(self, "message", clean_event(self.message))
