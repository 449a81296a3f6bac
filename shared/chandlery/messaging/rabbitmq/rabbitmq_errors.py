"""The border to the AMQP client: its errors become ours here, once."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPConnectionError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError

from chandlery.model.faults import Fault, Unavailable

_REQUEST = "The request to RabbitMQ failed: "
BLOCKED = "RabbitMQ currently accepts no messages: it is low on memory or disk space."


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
        raise Unavailable(f"{_REQUEST}{describe(error)}.") from error


def describe(error: BaseException | None) -> str:
    """A short reason for a log line. Never the credentials: only names of classes and what server or system said."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return "the user name or the password is refused"
    if _is_host_refused(error):
        # All that the client tells of the server's own words.
        return "the virtual host does not exist, or the user may not access it"
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, AMQPConnectionError) and isinstance(error.__cause__, OSError):
        return _of_system(error.__cause__)
    if isinstance(error, Fault) and error.__cause__ is not None and not isinstance(error.__cause__, Fault):
        return describe(error.__cause__) if str(error).startswith(_REQUEST) else error.message
    said = ", ".join(part for part in error.args if isinstance(part, str)) if error is not None else ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def is_login_refused(error: BaseException) -> bool:
    """Whether the server is there, and the user or the virtual host is what it does not accept."""
    return isinstance(error, AuthenticationError | ProbableAuthenticationError) or _is_host_refused(error)


def _is_host_refused(error: BaseException | None) -> bool:
    return isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error)


def _of_system(error: OSError) -> str:
    """What the system says of a connection that is not made, without the client's own words."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def is_blocked(connection: AbstractConnection) -> bool:
    """Whether the server has said that it takes no messages for now: it is low on memory or on disk space.

    The client has only a coroutine that waits for the end of that, so it is begun to see whether it would wait.
    """
    if connection.transport is None:
        return False
    waiting = connection.transport.ready().__await__()
    try:
        next(waiting)
    except StopIteration:
        return False
    finally:
        waiting.close()
    return True


async def until_unblocked(connection: AbstractConnection) -> None:
    """Return when the server takes messages, or when the connection is lost or closed."""
    transport = connection.transport
    if transport is None or not is_blocked(connection):
        return
    ends = {asyncio.ensure_future(transport.ready()), asyncio.ensure_future(connection.closed())}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
