"""`chandlery import service-catalog` as it is typed: what it prints, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chandlery.process.commands.imports.import_command import imports
from chandlery.store.sealing.sealing import new_key
from tests.support.dumps import old_catalog as old

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> Run:
    """The command in a folder of its own, with the settings of a database of its own."""
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", database_url)
    monkeypatch.setenv("CHANDLERY_ENCRYPTION_KEYS", new_key("test"))
    monkeypatch.chdir(tmp_path)
    known = [*old.offered("https://broker.example.com"), old.home()]
    ready = [
        old.instance("orders", old.provisioned()),
        old.binding("login", "orders", old.bound()),
        old.secret("login", of="login", password="s3cret"),
    ]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    twin = old.instance("twin", old.provisioned(), externalID="id-of-orders")
    Path("dump.yaml").write_text(old.as_kubectl_prints(*known, *ready, old.instance("new", old.waiting()), pod))
    Path("twin.yaml").write_text(old.as_kubectl_prints(twin))

    def invoke(*arguments: str, given: str | None = None) -> Result:
        result = CliRunner().invoke(imports, ["service-catalog", *arguments], input=given)
        assert "s3cret" not in result.output
        return result

    return invoke


def test_a_dry_run_shows_what_would_be_done_and_ends_well(run: Run) -> None:
    result = run("dump.yaml")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["serviceinstances", "ns", "orders", "create", "at", "rest"] in rows
    assert ["servicebindings", "ns", "login", "create", "at", "rest"] in rows
    assert ["serviceinstances", "ns", "new", "create", "held", "it", "was", "not", "provisioned", "yet"] in rows
    assert "1 held: nothing is sent to their service brokers" in result.stderr
    assert "1 Pod (v1)" in result.stderr
    assert "This was a dry run: nothing has been stored" in result.stderr


def test_an_import_is_done_once_and_can_be_repeated(run: Run) -> None:
    assert run("dump.yaml", "--yes").exit_code == 0
    again = run("dump.yaml", "--yes", "-o", "json")
    assert again.exit_code == 0
    found = [json.loads(line) for line in again.stdout.splitlines()]
    assert {each["import"] for each in found} == {"already there"}
    assert {(each["kind"], each["name"]) for each in found} >= {("ServiceInstance", "orders"), ("Secret", "login")}


def test_what_does_not_fit_is_an_exit_code_of_its_own_and_the_rest_is_imported(run: Run) -> None:
    result = run("dump.yaml", "twin.yaml", "--yes")
    assert result.exit_code == 3
    assert "ns/orders in the dump has the same external id" in result.stdout
    again = run("dump.yaml")
    assert "already there" in again.stdout
    assert again.exit_code == 0


def test_a_dump_may_come_from_stdin(run: Run) -> None:
    assert run("-", given=Path("dump.yaml").read_text()).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["dump.yaml", "--from-cluster"], ["dump.yaml", "--check", "--yes"]],
    ids=["nothing to read", "two sources", "a check that imports"],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_nothing_is_imported_into_a_database_of_the_other_platform(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("dump.yaml", "--yes").exit_code == 0
    kubeconfig = tmp_path / "kubeconfig"
    clusters = [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}]
    users = [{"name": "me", "user": {"token": "t"}}]
    contexts = [{"name": "here", "context": {"cluster": "it", "user": "me"}}]
    config = {"clusters": clusters, "users": users, "contexts": contexts, "current-context": "here"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    monkeypatch.setenv("CHANDLERY_PLATFORM", "kubernetes")
    monkeypatch.setenv("CHANDLERY_KUBECONFIG", str(kubeconfig))
    refused = run("dump.yaml", "--yes")
    assert "belongs to an installation with CHANDLERY_PLATFORM=standalone" in str(refused.exception)


def test_a_dump_without_anything_of_service_catalog_is_told(run: Run) -> None:
    Path("other.yaml").write_text(old.as_kubectl_prints(old.home()))
    result = run("other.yaml")
    assert "there is nothing of Service Catalog in the dump" in str(result.exception)
