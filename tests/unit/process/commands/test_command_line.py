"""The command line as its user meets it: help at once, whole sentences, and a way out of a mistyped command."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from chandlery.process.commands.cli import COMMANDS, cli


def test_help_imports_no_service_and_no_framework() -> None:
    """What takes long to import is not needed to say what there is."""
    look = (
        "import sys\n"
        "from chandlery.process.commands.cli import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'fastapi', 'sqlalchemy', 'aio_pika', 'pydantic', 'aiohttp', 'cryptography', 'uvloop', 'structlog'}\n"
        "print(sorted(each for each in sys.modules if each.partition('.')[0] in heavy or each[:10] == 'chandlery_'))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


_OF_CLUSTERS = ("chandlery.platform.kubernetes", "chandlery_gateway.trust", "chandlery_gateway.identity.kubernetes")
_OF_COMMANDS = (
    "alembic",
    "mako",
    "multiprocessing",
    "opentelemetry.sdk",
    "pygments",
    "rich",
    "sqlalchemy.orm",
    "arrow",
)
_NOBODY = ("arrow", *_OF_COMMANDS, *_OF_CLUSTERS)
"""What no service loads: for migrations, for sessions, for traces that nobody has asked for, for a cluster that the
standalone platform has not, and for nothing at all."""
_OF_THE_GATEWAY = ("fastapi", "starlette", "google.protobuf", "jwt", "yaml", "jsonpatch", "chandlery_gateway")
_OF_SERVERS = ("asyncpg", "aio_pika", "aiormq", "pamqp", "chandlery.messaging.rabbitmq")


@pytest.mark.parametrize(
    ("services", "others"),
    [
        (("provisioner", "binder", "syncer"), (*_NOBODY, *_OF_THE_GATEWAY)),
        (("gateway",), (*_NOBODY, "google.protobuf", "jwt", "chandlery_provisioner", "chandlery_binder")),
        (("gateway", "provisioner", "binder", "syncer"), (*_NOBODY, *_OF_SERVERS)),
    ],
    ids=["workers", "gateway", "up"],
)
def test_a_process_loads_nothing_that_it_does_not_use(services: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Each of these takes megabytes of every process, and a tenth of a second of its start."""
    look = (
        "import sys\n"
        "from chandlery.process.commands.left_out import leave_out\n"
        "leave_out()\n"
        "from chandlery.process.commands.service_commands import service_command, up\n"
        f"for name in {services!r}: service_command(name)\n"
        f"print(sorted(name for name in {others!r} if sys.modules.get(name)))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_left_out_is_absent_or_of_no_use() -> None:
    look = (
        "from chandlery.process.commands.left_out import leave_out\n"
        "leave_out()\n"
        "from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession\n"
        "from importlib.util import find_spec\n"
        "try:\n    import rich\nexcept ModuleNotFoundError as error:\n    print(error.name, find_spec('rich'))\n"
        "try:\n    AsyncSession()\nexcept RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "rich None",
        "this part of a library is left out of processes of Chandlery: see left_out.py",
    ]


@pytest.mark.parametrize(("providers", "is_whole"), [("vault", True), ("keys,vault", True), ("aws-kms, keys", False)])
def test_nothing_is_left_out_where_a_package_of_somebody_elses_may_use_it(providers: str, is_whole: bool) -> None:
    look = (
        "from chandlery.process.commands.left_out import leave_out\n"
        f"leave_out({{'CHANDLERY_ENCRYPTION_PROVIDERS': {providers!r}}})\n"
        "from sqlalchemy.ext.asyncio import AsyncSession\n"
        "print(hasattr(AsyncSession, 'execute'))\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(is_whole)


def test_help_cuts_no_sentence() -> None:
    shown = " ".join(CliRunner().invoke(cli, ["--help"], terminal_width=80).output.split())
    assert "..." not in shown.partition("Options:")[2]
    for name, command in COMMANDS.items():
        assert f" {name} {command.summary} " in f"{shown} "


@pytest.mark.parametrize("name", list(COMMANDS))
def test_summary_in_the_table_is_what_the_command_says_of_itself(name: str) -> None:
    command = COMMANDS[name].load(name)
    assert command.name == name
    assert (command.help or "").startswith(COMMANDS[name].summary)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["provisoner"], "No such command 'provisoner'; did you mean 'provisioner'?"),
        (["newkey"], "No such command 'newkey'; did you mean 'new-key'?"),
        (["deadletters", "lst"], "No such command 'lst'; did you mean 'list'?"),
        (["xyzzy"], f"No such command 'xyzzy'; the commands are {', '.join(COMMANDS)}."),
    ],
)
def test_mistyped_command_is_answered_with_the_nearest(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, words)
    assert (done.exit_code, said in done.output) == (click.UsageError.exit_code, True)


def test_up_has_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHANDLERY_PLATFORM", "kubernetes")
    done = CliRunner().invoke(cli, ["up", "--data-dir", str(tmp_path / "data")])
    assert done.exit_code == 1
    assert "unset CHANDLERY_PLATFORM" in str(getattr(done.exception, "message", ""))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["a,b:c", "a b", "", "a" * 32, "key\n"])
def test_key_name_that_no_process_could_read_back_is_refused(name: str) -> None:
    done = CliRunner().invoke(cli, ["new-key", name])
    assert done.exit_code == 1
    assert "cannot be used" in str(getattr(done.exception, "message", ""))
