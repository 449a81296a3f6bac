"""How much single modules tell: names, the nearest of which counts; sentences for mistakes; a file that is followed."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from chandlery.model.faults import ConfigurationFault
from chandlery.process import followed_files
from chandlery.process.logs.log_levels import level_of, read_levels
from chandlery.process.logs.logs import configure_logs, keep_logs, reload_levels
from tests.support.waiting import eventually

Lines = Callable[[], list[dict[str, Any]]]
CLIENT = "chandlery.osb.client"


@pytest.fixture(autouse=True)
def levels_of_libraries() -> Iterator[None]:
    """Put back what a test has asked of libraries."""
    names = ("aiormq", "aiormq.connection", "sqlalchemy.engine")
    before = [(name, logging.getLogger(name).level) for name in names]
    yield
    for name, level in before:
        logging.getLogger(name).setLevel(level)


def test_levels_are_read_with_commas_lines_and_comments() -> None:
    read = read_levels("chandlery.osb=debug, aiormq = WARNING\n# nothing\n\n*=error # all\n", source="here")
    assert read == {"chandlery.osb": logging.DEBUG, "aiormq": logging.WARNING, "*": logging.ERROR}


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("chandlery.osb.client", logging.DEBUG),
        ("chandlery.osb", logging.DEBUG),
        ("chandlery.osb.tokens.token_source", logging.ERROR),
        ("chandlery.osbx", None),
        ("chandlery", None),
    ],
)
def test_longest_name_that_fits_wins(name: str, level: int | None) -> None:
    assert level_of(name, {"chandlery.osb": logging.DEBUG, "chandlery.osb.tokens": logging.ERROR}) == level


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("chandlery.osb", "HERE: 'chandlery.osb' names no level; write chandlery.osb=debug"),
        (
            "chandlery.osb=loud",
            "HERE: 'chandlery.osb=loud' has an unknown level; write debug, info, warning, error or critical",
        ),
        (
            "chandlery.ozb.client=debug",
            "HERE: 'chandlery.ozb.client=debug' names a module that does not exist; did you mean chandlery.osb.client?",
        ),
        (
            "chandlery_gatway=info",
            "HERE: 'chandlery_gatway=info' names a module that does not exist; did you mean chandlery_gateway?",
        ),
        (
            "../osb=info",
            "HERE: '../osb=info' begins with no name of a module; write for example chandlery.osb=debug",
        ),
    ],
)
def test_mistake_is_named_with_the_way_out(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        read_levels(f"aiormq=info\n{text}", source="HERE")
    assert raised.value.message == sentence


@pytest.mark.parametrize("name", ["chandlery_gateway.http.request_log", "chandlery_binder", "chandlery"])
def test_every_module_and_package_may_be_named(name: str) -> None:
    assert read_levels(f"{name}=debug", source="HERE") == {name: logging.DEBUG}


def test_module_that_is_named_tells_more_or_less_than_others(lines: Lines) -> None:
    configure_logs(level="info", form="json", levels="chandlery.osb=debug,chandlery.engine=error")
    for name in (CLIENT, "chandlery.engine.relay", "chandlery.store.rows"):
        for say in ("debug", "info", "error"):
            getattr(structlog.get_logger(name), say)(say)
    assert [(line["log.logger"], line["message"]) for line in lines()] == [
        (CLIENT, "debug"),
        (CLIENT, "info"),
        (CLIENT, "error"),
        ("chandlery.engine.relay", "error"),
        ("chandlery.store.rows", "info"),
        ("chandlery.store.rows", "error"),
    ]


def test_library_that_is_named_tells_more(lines: Lines) -> None:
    configure_logs(level="info", form="json", levels="sqlalchemy.engine=info,aiormq=error")
    logging.getLogger("sqlalchemy.engine.Engine").info("BEGIN")
    logging.getLogger("sqlalchemy.pool").info("small talk")
    logging.getLogger("aiormq.connection").error("lost")
    assert [line["message"] for line in lines()] == ["BEGIN", "lost"]


def test_loggers_in_use_follow_the_file_and_a_bad_one_changes_nothing(lines: Lines, tmp_path: Path) -> None:
    file = tmp_path / "levels"
    file.write_text("")
    configure_logs(level="info", form="json", levels=f"{CLIENT}=error", levels_file=file)
    log, library = structlog.get_logger(CLIENT), logging.getLogger("aiormq.connection")

    def said() -> list[str]:
        log.debug("debug")
        log.info("info")
        library.info("library")
        return [line["message"] for line in lines()]

    assert said() == []
    file.write_text(f"{CLIENT}=debug\naiormq=info\n")
    reload_levels()
    assert said() == ["debug", "info", "library"]
    file.write_text("chandlery.osb=loud")
    with pytest.raises(ConfigurationFault, match=r"LOG_LEVELS_FILE .*levels: 'chandlery.osb=loud' has an unkn"):
        reload_levels()
    file.unlink()
    with pytest.raises(ConfigurationFault, match=r"levels cannot be read: No such file"):
        reload_levels()
    assert said() == ["debug", "info", "library"]
    file.write_text("*=debug")
    reload_levels()
    assert said() == [], "the variable is about this module, and all others are meant"
    assert structlog.get_logger("chandlery.store.rows").is_enabled_for(logging.DEBUG)


async def test_process_follows_its_file_and_says_so(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_files, "EVERY_SECONDS", 0.01)
    file, told = tmp_path / "levels", list[str]()

    def words() -> list[str]:
        told.extend(line["message"] for line in lines())
        return told

    file.write_text("*=info")
    configure_logs(level="info", form="json", levels_file=file)
    keeping = asyncio.create_task(keep_logs())
    try:
        for text, expected in (
            ("*=debug", "the file of log levels has changed and is now in use"),
            ("*=loud", "the previous version of the file of log levels stays in use"),
        ):
            file.write_text(text)
            await eventually(words, lambda seen, end=expected: any(end in each for each in seen), what=expected)  # type: ignore[arg-type,misc]
            assert structlog.get_logger(CLIENT).is_enabled_for(logging.DEBUG)
    finally:
        keeping.cancel()


def test_missing_file_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"CHANDLERY_LOG_LEVELS_FILE .*none cannot be read: No such file"):
        configure_logs(level="info", form="json", levels_file=tmp_path / "none")
