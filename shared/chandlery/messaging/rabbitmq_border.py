"""The border to the AMQP client: its errors become ours here, once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from chandlery.model.faults import ConfigurationFault, Fault, Unavailable

_PORTS = {"amqp": 5672, "amqps": 5671}


@contextmanager
def foreign_errors_translated() -> Iterator[None]:
    """What goes wrong in a conversation with RabbitMQ is raised as Unavailable; our own cancellation stays one."""
    try:
        yield
    except Fault:
        raise
    except asyncio.CancelledError as error:
        # The client reports some losses of the connection as a CancelledError that nobody asked for.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("The connection to RabbitMQ was lost.") from error
    except Exception as error:
        raise Unavailable(f"RabbitMQ did not do what was asked: {describe(error)}.") from error


def describe(error: BaseException | None) -> str:
    """A short reason for a log line. Never the credentials: only names of classes and what server or system said."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return "the user name or the password is refused"
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, Fault) and error.__cause__ is not None:
        return describe(error.__cause__)
    said = ", ".join(part for part in error.args if isinstance(part, str)) if error is not None else ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def parse_url(url: str, *, connection_name: str, heartbeat_seconds: int) -> URL:
    """`amqp[s]://user:password@host[:port]/vhost[?options]` with defaults filled in. Raises ConfigurationFault."""
    try:
        parsed = URL(url)
        usual_port = _PORTS[parsed.scheme]
        if not parsed.host:
            raise ValueError("no host")
        parsed = parsed.with_port(parsed.port or usual_port)
    except (KeyError, ValueError):
        # Neither the URL nor the cause may be shown: both can hold the password.
        raise ConfigurationFault("The message bus needs a URL like amqp[s]://user:password@host:port/vhost.") from None
    return parsed.with_query({"heartbeat": str(heartbeat_seconds), "name": connection_name, **parsed.query})
