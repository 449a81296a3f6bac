"""Logs: lines for machines, no secrets in them, tracebacks whoever logs them."""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
import structlog

from chandlery.process.logs.logs import configure_logs

HIDDEN = ("password", "token", "authorization", "credentials", "parameters", "data", "body")


Written = Callable[[], str]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What was written to stderr; logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield lambda: capsys.readouterr().err
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written().splitlines()]


def test_line_is_json_with_a_sentence_a_level_and_a_moment(written: Written) -> None:
    configure_logs(level="info", form="json")
    structlog.get_logger().info("the ship has left", action="leave", harbour="north")
    (line,) = lines(written)
    assert (line["event"], line["level"], line["harbour"]) == ("the ship has left", "info", "north")
    assert line["at"].endswith("Z")


def test_what_is_less_severe_is_left_out(written: Written) -> None:
    configure_logs(level="warning", form="json")
    structlog.get_logger().info("small talk")
    structlog.get_logger().warning("a storm")
    assert [line["event"] for line in lines(written)] == ["a storm"]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("key", HIDDEN)
def test_value_of_a_telling_key_is_hidden(key: str, form: str, written: Written) -> None:
    configure_logs(level="info", form=form)
    structlog.get_logger().info("something happened", **{key: "hunter2"})
    structlog.get_logger().bind(**{key: {"inside": "hunter2"}}).info("again")
    with structlog.contextvars.bound_contextvars(**{key: "hunter2"}):
        structlog.get_logger().info("and again")
    text = written()
    assert text.count("<hidden>") == 3
    assert "hunter2" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_libraries_write_to_the_same_place(form: str, written: Written) -> None:
    configure_logs(level="info", form=form)
    logging.getLogger("uvicorn.error").warning("a %s request", "strange")
    logging.getLogger("uvicorn.error").info("small talk of a library")
    text = written()
    assert "a strange request" in text
    assert "warning" in text
    assert "small talk" not in text


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", ["ours", "library"])
def test_traceback_is_readable_whoever_logs_it(name: str, form: str, written: Written) -> None:
    configure_logs(level="info", form=form)
    logger: Any = structlog.get_logger() if name == "ours" else logging.getLogger("uvicorn.error")
    password = "hunter-2"
    try:
        raise LookupError("the anchor is lost")
    except LookupError:
        logger.exception("it went wrong")
    text = written()
    assert "Traceback (most recent call last)" in text
    assert "test_traceback_is_readable_whoever_logs_it" in text
    assert "the anchor is lost" in text
    assert password not in text, "local variables are shown"
    assert form == "console" or len(text.splitlines()) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_others_have_said_is_on_one_line_and_steers_no_terminal(form: str, written: Written) -> None:
    configure_logs(level="info", form=form)
    hostile = "\x1b[31mred\x1b[0m \u202eover\u202c\nlevel=error forged"
    structlog.get_logger().info(f"a broker said {hostile}", broker=hostile)
    logging.getLogger("other").warning("somebody said %s", hostile)
    structlog.get_logger().info("long", broker="x" * 1_000_000)
    text = written()
    assert len(text.splitlines()) == 3
    assert all(line.isprintable() for line in text.splitlines())
    assert "red over level=error forged" in text
    assert "u202e" not in text
    assert len(text) < 10_000


def test_a_traceback_keeps_its_lines(written: Written) -> None:
    configure_logs(level="info", form="json")
    try:
        raise LookupError("\x1b[31mred")
    except LookupError:
        structlog.get_logger().exception("it broke")
    (line,) = lines(written)
    assert line["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert line["exception"].splitlines()[-1] == "LookupError: red"


def test_line_for_machines_says_which_service_of_which_version_on_which_host_has_written_it(written: Written) -> None:
    configure_logs(level="info", form="json", service="binder")
    structlog.get_logger().info("ours")
    logging.getLogger("uvicorn.error").warning("a library's")
    with structlog.contextvars.bound_contextvars(service="syncer"):
        structlog.get_logger().info("of another service in the same process")
    found = lines(written)
    assert [line["service"] for line in found] == ["binder", "binder", "syncer"]
    assert {line["host"] for line in found} == {socket.gethostname()}
    assert {line["version"] for line in found} == {version("chandlery")}


def test_line_for_people_begins_with_its_time(written: Written) -> None:
    configure_logs(level="info", form="console", service="up")
    structlog.get_logger().info("the ship has left", harbour="north")
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[info +\] the ship has left +harbour=north service=up\n", written())
