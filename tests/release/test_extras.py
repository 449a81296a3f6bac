"""The package without its extras: all in one process works, and whoever asks for more is told what to install."""

from pathlib import Path

import pytest

from tests.e2e.stacks.programs import Program
from tests.release.made_once import made_once
from tests.release.packages import Environment, Packages, environment_without_checkout, make_environment

_KEY = "only:bm9ib2R5IGhhcyB0aGlzIGtleSwgbm9ib2R5IGhhcyA="


@pytest.fixture(scope="module")
def plain(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install chandlery` brings."""

    def install(folder: Path) -> None:
        make_environment(folder / "environment", packages.wheel, lock="runtime.txt")

    return Environment(made_once(tmp_path_factory, "plain", install) / "environment")


def test_package_without_extras_has_no_driver_of_a_server(plain: Environment) -> None:
    found = {path.name for path in (plain.folder / "lib").glob("python3.*/site-packages/*")}
    assert {"chandlery", "aiosqlite", "sqlalchemy"} <= found
    assert found.isdisjoint({"asyncpg", "aio_pika", "aiormq", "boto3", "pkcs11"})


def test_package_without_extras_runs_all_in_one_process(plain: Environment, tmp_path: Path) -> None:
    command = [plain.chandlery, "up", "--port", "0", "--data-dir", str(tmp_path / "data")]
    program = Program("up", command, environment=environment_without_checkout(), log=tmp_path / "up.log")
    program.start()
    try:
        program.await_log("Chandlery is ready at", seconds=60)
        looked = plain.run("doctor", "--data-dir", str(tmp_path / "data"))
        assert (looked.returncode, looked.stderr) == (0, ""), looked.stdout
    finally:
        assert program.stop() == 0


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (
            ("migrate",),
            {"CHANDLERY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            (
                "CHANDLERY_DATABASE_URL names PostgreSQL, which needs the Python package 'asyncpg'; it is not "
                "installed: pip install 'chandlery[postgresql]'"
            ),
        ),
        (
            ("deadletters", "list"),
            {"CHANDLERY_AMQP_URL": "amqp://nobody@127.0.0.1:1/"},
            (
                "CHANDLERY_AMQP_URL names RabbitMQ, which needs the Python package 'aio_pika'; it is not installed: "
                "pip install 'chandlery[rabbitmq]'"
            ),
        ),
        (
            ("syncer",),
            {
                "CHANDLERY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
                "CHANDLERY_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
                "CHANDLERY_ENCRYPTION_KEYS": _KEY,
            },
            (
                "CHANDLERY_DATABASE_URL names PostgreSQL, which needs the Python package 'asyncpg'; it is not "
                "installed: pip install 'chandlery[postgresql]'"
            ),
        ),
        (
            ("keys", "list"),
            {
                "CHANDLERY_DATABASE_URL": "sqlite:///{folder}/chandlery.db",
                "CHANDLERY_ENCRYPTION_PROVIDERS": "aws-kms",
                "CHANDLERY_AWS_KMS_KEY_ID": "alias/chandlery",
            },
            (
                "CHANDLERY_ENCRYPTION_PROVIDERS names 'aws-kms', which needs the Python package 'boto3'; it is not "
                "installed: pip install 'chandlery[aws]'"
            ),
        ),
    ],
    ids=["PostgreSQL", "RabbitMQ", "a service", "AWS KMS"],
)
def test_who_asks_for_an_extra_that_is_not_installed_is_told_its_name(
    plain: Environment, tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    given = {name: value.format(folder=tmp_path) for name, value in settings.items()}
    said = plain.run(*words, **given)
    assert said.returncode == 2, said.stderr
    assert said.stderr.splitlines()[-1] == f"chandlery: {sentence}"
    assert "Traceback" not in said.stderr
