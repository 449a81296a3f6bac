"""Fixtures of the end-to-end tests. A stack lives as long as its module; a failure shows the logs of what took part."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.stacks.programs import Program, clean_environment
from tests.e2e.stacks.stacks import EmbeddedStack, SplitStack, Stack, embedded_stack, split_stack
from tests.support.shown_logs import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


class Launcher(Protocol):
    """Builds a program whose log is in the test's folder, and sees to its end."""

    def __call__(self, command: Sequence[str], *, name: str = "program", **environment: str) -> Program: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything of this module."""
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """`chandlery up`."""
    with embedded_stack(tmp_path_factory.mktemp("embedded")) as stack:
        yield stack


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitStack]:
    """Four processes on PostgreSQL and RabbitMQ, each with a database role that may do what it has to."""
    with split_stack(tmp_path_factory.mktemp("split"), has_roles=True) as stack:
        yield stack


@pytest.fixture(scope="module", params=["embedded", "split"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each form in turn."""
    found: Stack = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def launch(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """Start a program; what still runs at the end of the test is killed."""
    programs: list[Program] = []

    def start(command: Sequence[str], *, name: str = "program", **environment: str) -> Program:
        log = tmp_path / f"{name}-{len(programs)}.log"
        program = Program(name, command, environment=clean_environment(**environment), log=log)
        programs.append(program)
        program.start()
        return program

    yield start
    for program in programs:
        if program.is_running:
            program.kill()
        request.node.add_report_section("teardown", f"log of {program.name}", program.log_tail())
