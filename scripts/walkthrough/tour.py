"""The walk-through itself, command by command: register, look, provision, bind, read the credentials, delete."""

import shutil
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from machine.places import REPOSITORY
from walkthrough.terminal import Terminal

BROKER, INSTANCE, BINDING = "demo-broker.yaml", "demo-instance.yaml", "demo-binding.yaml"
_CREDENTIALS: Final = "demo-instance-credentials"
_WRITTEN_URL: Final = "http://127.0.0.1:5000"
_DECODED: Final = '{{range $key, $value := .data}}{{$key}}: {{$value | base64decode}}{{"\\n"}}{{end}}'
_HANDED_OUT: Final = ("password: 123456", "username: abc", "uri: http://demo.local/")


def copy_manifests(folder: Path, *, broker_url: str) -> None:
    """The three manifests of `examples/`, with the address of the broker that runs now."""
    for name in (BROKER, INSTANCE, BINDING):
        shutil.copy(REPOSITORY / "examples" / name, folder / name)
    text = (folder / BROKER).read_text()
    if _WRITTEN_URL not in text:
        raise MachineFault(f"examples/{BROKER} no longer names {_WRITTEN_URL}")
    (folder / BROKER).write_text(text.replace(_WRITTEN_URL, broker_url))


def make_tour(terminal: Terminal) -> None:
    """Every command of the walk-through. Raises MachineFault at the first that does not do what it should."""
    _register(terminal)
    _provision(terminal)
    _bind(terminal)
    _read_credentials(terminal)
    _delete(terminal)


def _register(terminal: Terminal) -> None:
    terminal.step("Register the service broker; its catalog becomes classes and plans")
    _create(terminal, BROKER, "clusterservicebroker/demo-broker")
    _table(terminal, "clusterservicebrokers", "Ready")
    _table(terminal, "clusterserviceclasses", "demo-service")
    _table(terminal, "clusterserviceplans", "default")


def _provision(terminal: Terminal) -> None:
    terminal.step("Ask for an instance; the broker provisions it")
    _create(terminal, INSTANCE, "serviceinstance/demo-instance")
    _table(terminal, "serviceinstances", "Ready")


def _bind(terminal: Terminal) -> None:
    terminal.step("Bind it; the credentials land in a Secret")
    _create(terminal, BINDING, "servicebinding/demo-binding")
    _table(terminal, "servicebindings", "Ready")


def _read_credentials(terminal: Terminal) -> None:
    terminal.step("Read the credentials that the broker handed out")
    terminal.run("kubectl", "get", "secret", _CREDENTIALS, "-o", "yaml")
    decoded = terminal.run("kubectl", "get", "secret", _CREDENTIALS, "-o", f"go-template={_DECODED}")
    _expect(decoded, *_HANDED_OUT)


def _delete(terminal: Terminal) -> None:
    terminal.step("Delete everything; the Secret goes with its binding, the catalog with its broker")
    terminal.run("kubectl", "delete", "servicebindings", "demo-binding")
    terminal.run("kubectl", "delete", "serviceinstance", "demo-instance")
    terminal.run("kubectl", "delete", "clusterservicebroker", "demo-broker")
    kinds = "clusterservicebrokers,clusterserviceclasses,clusterserviceplans,serviceinstances,servicebindings,secrets"
    _expect(terminal.run("kubectl", "get", kinds), "No resources found")


def _create(terminal: Terminal, manifest: str, subject: str) -> None:
    terminal.show_file(manifest)
    terminal.run("kubectl", "create", "-f", manifest)
    terminal.run("kubectl", "wait", "--for=condition=Ready", subject, "--timeout=60s")


def _table(terminal: Terminal, plural: str, word: str) -> None:
    _expect(terminal.run("kubectl", "get", plural), word)


def _expect(printed: str, *parts: str) -> None:
    missing = [part for part in parts if part not in printed]
    if missing:
        raise MachineFault(f"the last command should have printed {missing[0]!r}")
