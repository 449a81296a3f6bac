"""Resource versions that cannot be served: too old to show, or not reached yet."""

from typing import Final

from chandlery.model.faults import Expired, Fault
from chandlery.model.objects.wire import JsonObject

TOO_LARGE_CAUSE: Final = "ResourceVersionTooLarge"


class ContinueExpired(Expired):
    """The continue token is too old to show the rest of the same list.

    List again without it, or go on with the token in this answer: the rest is then as it is now, and what was written
    since the first page may be missing or come twice.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__(" ".join((self.__doc__ or "").split()))


class VersionTooLarge(Fault):
    """The resource version is larger than any that exists yet."""

    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"Timeout: Too large resource version: {asked}, current: {current}")

    @property
    def causes(self) -> list[JsonObject]:
        """What clients recognise it by; client-go then lists without a version."""
        return [{"reason": TOO_LARGE_CAUSE, "message": "Too large resource version"}]


class UnreadableChange(Fault):
    """A change cannot be shown: a watch passes over it and goes on. The log says why."""

    def __init__(self, kind: str, name: str, version: int) -> None:
        super().__init__(
            f'a change of {kind} "{name}" (resource version {version}) cannot be shown and was passed over, the watch '
            "goes on; read the object to see it as it is now; the server's log says what is wrong"
        )
