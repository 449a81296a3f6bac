"""The rules of this house that no linter knows. import-linter has those about who imports whom."""

import ast
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from chandlery.model.objects import reasons
from chandlery.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path for top in ("shared", "services") for path in (ROOT / top).rglob("*.py"))

LAYOUT = {
    *("deploy", "docs", "examples", "requirements", "scripts", "services", "shared", "tests"),
    *(
        "CHANGELOG.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "pyproject.toml",
        "hatch_build.py",
    ),
    *(".ci", ".github", ".dockerignore", ".editorconfig", ".gitignore"),
}
SERVICES = {"gateway", "provisioner", "binder", "syncer"}
LAYERS = {
    *("model", "contracts", "retry", "settings", "reconcile", "messaging", "store", "osb"),
    *("platform", "lookup", "engine", "process", "telemetry"),
}
TEST_KINDS = {
    *("unit", "integration", "security", "support", "conformance", "e2e", "benchmarks", "chaos", "cluster"),
    "release",
}

SHARED_NAMES = {
    "__init__.py": "Python asks for it",
    "main.py": "the entry of each service",
    "faults.py": "each layer has its own",
    "planned_calls.py": "the same step of two workers: an instance's and a binding's",
}
"""Names that more than one module may have, with the reason."""

BANNED = ("base", "common", "helpers", "misc", "shared", "util", "utils")
MEDIAN_LINES, MOST_LINES, MOST_FUNCTION_LINES = 160, 400, 60
MOST_MODULES = 12
FEWEST_LINES_OF_A_HUB = 8

COMES_WITH = {
    "pydantic_core": "pydantic",
    "starlette": "fastapi",
    "jsonpointer": "jsonpatch",
    "botocore": "boto3",
    "aiormq": "aio-pika",
    "pkcs11": "python-pkcs11",
}
"""Imported although not declared: part of what a declared package's own interface is made of."""
DISTRIBUTION = {
    "jwt": "pyjwt",
    "yaml": "pyyaml",
    "google": "protobuf",
    "pydantic_settings": "pydantic-settings",
    "prometheus_client": "prometheus-client",
    "opentelemetry": "opentelemetry-api",
    "aio_pika": "aio-pika",
}

HUBS = (
    "services/gateway/chandlery_gateway/http/pipeline.py",
    "services/gateway/chandlery_gateway/admission/catalog/object_admission.py",
    "services/gateway/chandlery_gateway/write/object_writer.py",
    "services/gateway/chandlery_gateway/read/object_reader.py",
    "services/gateway/chandlery_gateway/watch/watch_hub.py",
    "services/provisioner/chandlery_provisioner/instance_reconciler.py",
    "services/provisioner/chandlery_provisioner/decide/instance_machine.py",
    "services/provisioner/chandlery_provisioner/absorb/instance_outcomes.py",
    "services/binder/chandlery_binder/decide/binding_machine.py",
    "services/binder/chandlery_binder/absorb/binding_outcomes.py",
    "services/syncer/chandlery_syncer/decide/broker_machine.py",
    "shared/chandlery/engine/worker.py",
    "shared/chandlery/engine/reconcile_loop.py",
    "shared/chandlery/engine/batches.py",
    "shared/chandlery/engine/relay.py",
    "shared/chandlery/engine/upkeep/sweep.py",
    "shared/chandlery/store/database.py",
    "shared/chandlery/store/objects/objects.py",
    "shared/chandlery/store/objects/changes.py",
    "shared/chandlery/store/work/work_queue.py",
    "shared/chandlery/store/work/wakes.py",
    "shared/chandlery/store/work/outbox.py",
    "shared/chandlery/model/objects/kinds.py",
    "shared/chandlery/contracts/messages.py",
    "shared/chandlery/settings/settings.py",
    "shared/chandlery/messaging/bus.py",
    "shared/chandlery/messaging/rabbitmq/rabbitmq_bus.py",
    "shared/chandlery/osb/client.py",
    "shared/chandlery/process/composition.py",
    "shared/chandlery/process/process.py",
    "shared/chandlery/store/database.py",
    "shared/chandlery/store/objects/objects.py",
    "shared/chandlery/store/objects/changes.py",
    "shared/chandlery/store/work/work_queue.py",
    "shared/chandlery/store/work/wakes.py",
    "shared/chandlery/store/work/wake_ups.py",
    "shared/chandlery/store/work/outbox.py",
    "shared/chandlery/engine/batches.py",
    "shared/chandlery/engine/worker.py",
    "shared/chandlery/engine/relay.py",
    "shared/chandlery/engine/upkeep/sweep.py",
)
"""Where a reader gets off to look round: they tell what comes in, what goes out, and who calls."""

ADAPTERS = {"Database", "RabbitBus", "InProcessBus", "OsbClient", "Keyring"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def called(path: Path) -> Iterator[str]:
    """What is called by a name of its own, or built by a class method: `Keyring.parse(…)` calls `Keyring`."""
    for node in ast.walk(tree_of(path)):
        target = node.func if isinstance(node, ast.Call) else None
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            yield target.value.id
        if isinstance(target, ast.Name):
            yield target.id


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a module imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 150


def test_top_level_is_laid_out_as_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.partition("/")[0] for line in tracked.splitlines()} == LAYOUT


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("services", SERVICES), ("shared", {"chandlery"}), ("shared/chandlery", LAYERS), ("tests", TEST_KINDS)],
)
def test_folder_holds_the_parts_it_is_for(folder: str, expected: set[str]) -> None:
    assert {path.name for path in (ROOT / folder).iterdir() if path.is_dir() and path.name[0] not in "._"} == expected


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_service_has_one_import_root_and_a_main(service: str) -> None:
    root = ROOT / "services" / service / f"chandlery_{service}"
    assert (root / "main.py").is_file()
    assert (root / "py.typed").is_file()


def test_name_of_a_module_is_unique() -> None:
    counts = Counter(path.name for path in MODULES)
    assert {name for name, count in counts.items() if count > 1} == set(SHARED_NAMES)


def test_no_module_has_a_name_that_says_nothing() -> None:
    said = {shown(path): {*path.stem.split("_"), path.parent.name} for path in MODULES}
    # The folder of the layers itself is called so.
    assert [name for name, words in said.items() if words & set(BANNED)] == []


def test_modules_are_short() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in MODULES if path.name != "__init__.py"}
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{shown(path)}: {function.name}"
        for path in MODULES
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    assert [shown(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []


@pytest.mark.parametrize("name", HUBS)
def test_hub_tells_what_comes_in_what_goes_out_and_who_calls(name: str) -> None:
    told = ast.get_docstring(tree_of(ROOT / name)) or ""
    assert [word for word in ("Comes in:", "Goes out:", "Called by:") if word not in told] == []
    assert len(told.splitlines()) >= FEWEST_LINES_OF_A_HUB


def test_every_folder_of_modules_is_a_package() -> None:
    # Alembic loads its scripts by path.
    scripts = {"versions", "migrations"}
    folders = {path.parent for path in MODULES} - {ROOT / "shared"}
    missing = [shown(each) for each in folders if not (each / "__init__.py").exists() and each.name not in scripts]
    assert missing == []


def test_no_folder_holds_more_than_twelve_modules() -> None:
    tests = (path for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    rooms = Counter(path.parent for path in (*MODULES, *tests) if path.name != "__init__.py")
    # A history, which only grows.
    del rooms[ROOT / "shared/chandlery/store/migrations/versions"]
    assert {shown(room): count for room, count in rooms.items() if count > MOST_MODULES} == {}


def test_nothing_is_printed() -> None:
    assert [shown(path) for path in MODULES if "print" in called(path)] == []


def test_adapters_are_built_in_one_place() -> None:
    composition = ROOT / "shared/chandlery/process"
    builders = {path for path in MODULES if ADAPTERS & set(called(path))}
    assert [shown(path) for path in builders if path.name != "main.py" and not path.is_relative_to(composition)] == []
    assert builders, "the names of the adapters have changed"


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    declared = {Requirement(text).name for text in [*project["dependencies"], *extras]}
    ours = {"chandlery", *(f"chandlery_{service}" for service in SERVICES)}
    foreign = {name for path in MODULES for name in imported(path)} - ours - set(sys.stdlib_module_names)
    needed = {COMES_WITH.get(name, DISTRIBUTION.get(name, name)) for name in foreign}
    assert needed - declared == set()


def test_every_setting_is_described() -> None:
    plain = {name: field.description or "" for name, field in Settings.model_fields.items()}
    assert [name for name, text in plain.items() if len(text) < len("Port to use.")] == []
    assert [name for name, text in plain.items() if not text.endswith((".", "`."))] == []


def test_every_reason_can_be_given() -> None:
    # By value: two vocabularies share some words, and one of them says it for both.
    used: set[str] = set()
    texts = [path.read_text() for path in MODULES if path.name != "reasons.py"]
    for vocabulary in (reasons.BrokerReason, reasons.InstanceReason, reasons.BindingReason):
        for member in vocabulary:
            if any(f"{vocabulary.__name__}.{member.name}" in text for text in texts):
                used.add(member.value)
    every = {*reasons.BrokerReason, *reasons.InstanceReason, *reasons.BindingReason}
    assert {reason.value for reason in every} == used


def test_json_is_read_and_written_in_one_place() -> None:
    # A parser of its own means numbers of its own: what one part takes, another would change or refuse.
    foreign = {"orjson.loads", "orjson.dumps", "json.loads", "json.load", "from_json", "to_json"}
    found = {
        shown(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in foreign
    }
    assert found == {
        "shared/chandlery/model/json/json_text.py",
        # For the keys alone, of what has been read before.
        "shared/chandlery/osb/answers/json_bodies.py",
        "services/gateway/chandlery_gateway/kube/body/bodies.py",
    }
