"""Logs: lines for machines, no secrets in them, tracebacks whoever logs them."""

import errno
import io
import logging
import os
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest
import structlog
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from chandlery.process.logs.ecs_fields import ECS_VERSION
from chandlery.process.logs.folding import FREE
from chandlery.process.logs.line_counts import count_lines, counts
from chandlery.process.logs.logs import configure_logs
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics

HIDDEN = ("password", "token", "authorization", "credentials", "parameters", "data", "body")


Written = Callable[[], str]
Lines = Callable[[], list[dict[str, Any]]]


def test_line_is_json_with_a_sentence_a_level_and_a_moment(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    structlog.get_logger().info("the ship has left", action="leave", harbour="north")
    (line,) = lines()
    assert (line["message"], line["log.level"], line["chandlery.harbour"]) == ("the ship has left", "info", "north")
    assert (line["event.action"], line["ecs.version"]) == ("leave", "9.2.0")
    assert line["@timestamp"].endswith("Z")


def test_what_is_less_severe_is_left_out(lines: Lines) -> None:
    configure_logs(level="warning", form="json")
    structlog.get_logger().info("small talk")
    structlog.get_logger().warning("a storm")
    assert [line["message"] for line in lines()] == ["a storm"]


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


def test_a_traceback_keeps_its_lines(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    try:
        raise LookupError("\x1b[31mred")
    except LookupError:
        structlog.get_logger().exception("it broke")
    (line,) = lines()
    assert line["error.stack_trace"].splitlines()[0] == "Traceback (most recent call last):"
    assert line["error.stack_trace"].splitlines()[-1] == "LookupError: red"


def test_line_for_machines_says_which_service_of_which_version_on_which_host_has_written_it(lines: Lines) -> None:
    configure_logs(level="info", form="json", service="binder")
    structlog.get_logger().info("ours")
    logging.getLogger("uvicorn.error").warning("a library's")
    with structlog.contextvars.bound_contextvars(service="syncer"):
        structlog.get_logger().info("of another service in the same process")
    found = lines()
    assert [line["service.name"] for line in found] == ["chandlery-binder", "chandlery-binder", "chandlery-syncer"]
    assert {line["host.name"] for line in found} == {socket.gethostname()}
    assert {line["service.version"] for line in found} == {version("chandlery")}


def test_line_for_people_begins_with_its_time(written: Written) -> None:
    configure_logs(level="info", form="console", service="up")
    structlog.get_logger().info("the ship has left", harbour="north")
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[info +\] the ship has left +harbour=north service=up\n", written())


def test_line_has_its_module_its_process_and_the_version_of_the_schema(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    structlog.get_logger("chandlery.osb.client").info("ours")
    logging.getLogger("uvicorn.error").warning("a library's")
    found = lines()
    assert [line["log.logger"] for line in found] == ["chandlery.osb.client", "uvicorn.error"]
    assert {(line["process.pid"], line["ecs.version"]) for line in found} == {(os.getpid(), ECS_VERSION)}


def test_duration_is_in_nanoseconds_and_what_is_missing_is_left_out(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    structlog.get_logger().info("done", ms=12.345, user="", status=None, uid="u-1")
    (line,) = lines()
    assert (line["event.duration"], line["orchestrator.resource.id"]) == (12_345_000, "u-1")
    assert not {"user.name", "http.response.status_code"} & set(line)


def test_line_tells_the_class_and_words_of_an_exception(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    for logger in (structlog.get_logger(), logging.getLogger("library")):
        try:
            raise LookupError("the anchor is lost")
        except LookupError:
            logger.exception("it went wrong")
    for line in lines():
        assert (line["error.type"], line["error.message"]) == ("LookupError", "the anchor is lost")
        assert line["error.stack_trace"].startswith("Traceback (most recent call last)")


def test_line_has_the_ids_of_the_current_span_and_none_without_one(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    context = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_remote=False)
    with use_span(NonRecordingSpan(context)):
        structlog.get_logger().info("within")
        logging.getLogger("library").warning("within")
    structlog.get_logger().info("without")
    *within, without = lines()
    ids = {(line["trace.id"], line["span.id"]) for line in within}
    assert ids == {("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")}
    assert not {"trace.id", "span.id"} & set(without)


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_has_no_form_in_json_is_shown_as_it_shows_itself(form: str, written: Written) -> None:
    @dataclass(repr=False)
    class Endpoint:
        place: str = "harbour:80"
        password: str = "hunter2"

        def __repr__(self) -> str:
            return f"Endpoint({self.place})"

    configure_logs(level="info", form=form)
    structlog.get_logger().info("odd", endpoint=Endpoint(), names=["a", "b\n"], number=1 << 70, huge=1 << 1_000_000)
    text = written()
    assert "Endpoint(harbour:80)" in text
    assert "hunter2" not in text
    assert "a number of 1000001 bits" in text
    assert len(text.splitlines()) == 1


def test_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    configure_logs(level="info", form="json")
    structlog.get_logger().info("the ship has left")
    logging.getLogger("library").warning("a storm")
    monkeypatch.undo()
    assert written() == ""


def test_lines_are_counted_by_level_and_told_at_a_scrape(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    metrics = PrometheusMetrics()
    before = dict(counts)
    log = structlog.get_logger("chandlery.test")
    for _ in range(3 * FREE):
        log.warning("again", action="accept")
    log.debug("unwanted")
    logging.getLogger("library").error("once")
    assert len(lines()) == FREE + 1
    count_lines(metrics)
    told = metrics.render()[0].decode()
    expected = {"warning": 3 * FREE, "error": 1, "debug": 0, "info": 0}
    assert {level: counts[level] - before[level] for level in expected} == expected
    assert f'chandlery_log_lines_total{{level="warning"}} {float(counts["warning"])}' in told


def test_console_names_the_module_of_a_library_and_of_what_debug_tells(written: Written) -> None:
    configure_logs(level="debug", form="console")
    structlog.get_logger("chandlery.osb.client").info("ours")
    structlog.get_logger("chandlery.osb.client").debug("more of ours")
    logging.getLogger("uvicorn.error").warning("a library's")
    ours, more, foreign = written().splitlines()
    assert "chandlery.osb.client" not in ours
    assert "[chandlery.osb.client]" in more
    assert "[uvicorn.error]" in foreign


@pytest.mark.parametrize("service", ["up", "gateway+provisioner+binder+syncer"])
def test_process_of_all_services_has_the_name_of_the_whole(service: str, lines: Lines) -> None:
    configure_logs(level="info", form="json", service=service)
    structlog.get_logger().info("ours")
    assert [line["service.name"] for line in lines()] == ["chandlery"]
