"""What `pair` asks of a server, whichever of the two it is."""

from pathlib import Path
from typing import Protocol

from servers.ledger import Kind, ServerRecord


class Server(Protocol):
    """One kind of server that can be started privately."""

    @property
    def kind(self) -> Kind: ...

    @property
    def title(self) -> str: ...

    @property
    def package(self) -> str:
        """The Debian package that brings it."""
        ...

    def is_installed(self) -> bool: ...

    def start(self, pair: str, log: Path, *, previous: ServerRecord | None) -> ServerRecord:
        """Launch it without waiting; `previous` None means an empty data folder and a new password."""
        ...

    def answers(self, record: ServerRecord) -> bool:
        """Whether clients are served now."""
        ...
