"""Command line and HTTP server of the demo broker: `broker.py` hands in its class and gets the exit code back."""

import argparse
import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from openbrokerapi import errors
from openbrokerapi.api import get_blueprint
from openbrokerapi.auth import BrokerCredentials
from openbrokerapi.service_broker import ServiceBroker
from werkzeug.serving import WSGIRequestHandler, make_server


class QuietRequestHandler(WSGIRequestHandler):
    """One line per request, without the query; an answer leaves at once, although it is written in two pieces."""

    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        path = getattr(self, "path", "-").partition("?")[0].encode("unicode_escape").decode()
        # In one piece: threads that write at the same moment would mix up their lines otherwise.
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {self.command or '-'} {path} {code}\n")


def run(build_broker: Callable[..., ServiceBroker]) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0, or 2 if the address can not be listened on."""
    options = parse_options()
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = "the port is in use, choose another with --port" if in_use else error.strerror
        print(f"demo broker: can not listen on {options.host} port {options.port}: {reason}", file=sys.stderr)
        return 2
    broker = build_broker(with_async=options.with_async, delay_seconds=options.delay)
    credentials = BrokerCredentials(options.username, options.password) if options.username else None
    serve(build_app(broker, credentials), listener)
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="broker.py", description="A service broker that only pretends.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="0 picks a free port (default: %(default)s)")
    parser.add_argument(
        "--async",
        dest="with_async",
        action="store_true",
        default=os.environ.get("DEMO_BROKER_ASYNC", "") not in ("", "0"),
        help="also offer demo-service-async (or DEMO_BROKER_ASYNC=1)",
    )
    parser.add_argument("--delay", type=float, default=5.0, metavar="SECONDS", help="time an operation of it takes")
    parser.add_argument("--username", default=os.environ.get("DEMO_BROKER_USERNAME"), help="ask for basic credentials")
    parser.add_argument("--password", default=os.environ.get("DEMO_BROKER_PASSWORD"))
    options = parser.parse_args()
    if (options.username is None) != (options.password is None):
        parser.error("--username and --password go together")
    if not 0 <= options.port <= 65535:
        parser.error("--port has to be between 0 and 65535")
    if not options.delay >= 0:
        parser.error("--delay can not be negative")
    return options


def listen(host: str, port: int) -> socket.socket:
    """Bind before werkzeug does, which would exit with a status and a message of its own. Raises OSError."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=128)


def build_app(broker: ServiceBroker, credentials: BrokerCredentials | None) -> Flask:
    app = Flask("demo_broker")
    blueprint = get_blueprint(broker, credentials, _quiet_logger())
    _complete_error_answers(blueprint)
    app.register_blueprint(blueprint)
    return app


def serve(app: Flask, listener: socket.socket) -> None:
    """Answer requests in threads until a signal asks to stop; takes over `listener`."""
    host, port = listener.getsockname()[:2]
    with listener:
        server = make_server(host, port, app, threaded=True, request_handler=QuietRequestHandler, fd=listener.fileno())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(f"demo broker listens on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    stop.wait()
    server.shutdown()


def _complete_error_answers(blueprint: Blueprint) -> None:
    """Answers that openbrokerapi leaves to its 500, such as a bind for an instance that does not exist."""

    def answer(status: int, description: str, error: str | None = None) -> Callable[[Exception], ResponseReturnValue]:
        body = {"description": description} | ({"error": error} if error else {})
        return lambda _: (body, status)

    concurrency = answer(422, "Another operation is in progress.", "ConcurrencyError")
    blueprint.register_error_handler(errors.ErrConcurrentInstanceAccess, concurrency)
    blueprint.register_error_handler(errors.ErrInstanceDoesNotExist, answer(404, "The instance does not exist."))
    blueprint.register_error_handler(errors.ErrBindingDoesNotExist, answer(410, "The binding does not exist."))


def _quiet_logger() -> logging.Logger:
    """Openbrokerapi logs every refusal with a traceback: let only what is really unexpected through."""

    def is_unexpected(record: logging.LogRecord) -> bool:
        expected = (errors.ServiceException, TypeError, KeyError)
        return not (record.exc_info and isinstance(record.exc_info[1], expected))

    logger = logging.getLogger("demo_broker.osb")
    logger.setLevel(logging.ERROR)
    logger.addFilter(is_unexpected)
    return logger
