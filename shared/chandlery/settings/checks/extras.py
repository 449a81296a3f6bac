"""Libraries that come only with an extra of the package, and the sentence for whoever uses a setting without them.

Whoever imports such a library does so when a setting asks for it, within `extra(…)`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chandlery.model.faults import ConfigurationFault

EXTRAS: Final = {
    "aws": "boto3",
    "otlp": "opentelemetry.exporter.otlp.proto.http",
    "pkcs11": "pkcs11",
    "postgresql": "asyncpg",
    "rabbitmq": "aio_pika",
}
"""Extra of the package -> the module that it brings, which tells whether it is installed."""
_OURS: Final = "chandlery"


@contextmanager
def extra(name: str, *, asked_by: str) -> Iterator[None]:
    """Import what an extra brings in this block; `asked_by` begins the sentence, and says which setting names what.

    Raises ConfigurationFault with the command that installs the extra, if a library of others is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].partition("_")[0] == _OURS:
            raise
        raise ConfigurationFault(
            f"{asked_by}, which needs the Python package {error.name.partition('.')[0]!r}; it is not installed: "
            f"pip install 'chandlery[{name}]'"
        ) from None
