"""How far one call has come: what a deadline or a lost connection means depends on it."""

from dataclasses import dataclass

from chandlery.osb.transport.http_call import HttpReply


@dataclass(kw_only=True)
class Progress:
    """Mutable; belongs to one call."""

    written: bool = False
    """Some connection was handed to the request, so the broker may have seen it."""
    on_used_connection: bool = False
    """The connection had served another request before."""
    head: HttpReply | None = None
    """Status and headers, once they are there."""

    def connected(self, *, reused: bool) -> None:
        """A connection was found or made; writing begins."""
        self.written = True
        self.on_used_connection = reused
