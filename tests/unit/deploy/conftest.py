"""The chart, loaded once by the real Helm engine, and what it needs to be rendered."""

import base64
import copy
import functools
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from chandlery.settings.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy/chart/chandlery"

# The one in C where there is one: ten times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Objects = dict[tuple[str, str], dict[str, Any]]

_REQUIRED = {
    "database": {"url": "postgresql://chandlery:Sesame%40Database@postgresql.example.com:5432/chandlery"},
    "amqp": {"url": "amqps://chandlery:SesameBus@rabbitmq.example.com:5671/chandlery"},
    "encryption": {
        "keys": [
            f"new:{base64.b64encode(b'N' * 32).decode()}",
            f"old:{base64.b64encode(b'O' * 32).decode()}",
        ]
    },
    "auth": {
        "tokens": [
            {"token": "SesameAdministrator", "user": "admin", "groups": ["system:masters", "operators"]},
            {"token": "SesameDeveloper:+/=#1", "user": "dev@example.com", "uid": "17"},
        ]
    },
}


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def chart_folder() -> Path:
    """Where the chart is."""
    return CHART


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture
def required() -> dict[str, Any]:
    """The least that has to be given, with inline secrets; a fresh copy."""
    return copy.deepcopy(_REQUIRED)


@pytest.fixture
def in_cluster() -> dict[str, Any]:
    """The least that has to be given for a part of the cluster's own API; a fresh copy."""
    return values_in_cluster()


@pytest.fixture(scope="session")
def secret_values() -> list[str]:
    """Everything in `required` that must stay inside a Secret, plain and in base64."""
    tokens = [entry["token"] for entry in _REQUIRED["auth"]["tokens"]]  # type: ignore[index]
    urls = [_REQUIRED["database"]["url"], _REQUIRED["amqp"]["url"]]  # type: ignore[index]
    keys = [key.partition(":")[2] for key in _REQUIRED["encryption"]["keys"]]  # type: ignore[index]
    plain = [*tokens, *urls, *keys, "Sesame%40Database", "SesameBus"]
    return plain + [base64.b64encode(value.encode()).decode() for value in plain]


@pytest.fixture(scope="session")
def render() -> Callable[..., Objects]:
    """Renders the chart for release `demo` in namespace `prod`: objects by kind and name (`place/name` in others)."""
    return render_chart


def values_in_cluster(**others: Any) -> dict[str, Any]:
    """The least that has to be given with platform kubernetes, and others."""
    inline = {name: value for name, value in copy.deepcopy(_REQUIRED).items() if name != "auth"}
    return {**inline, "platform": "kubernetes", **others}


@functools.cache
def loaded_chart() -> helm_python.Chart:
    """The chart, read once: that takes longer than rendering it."""
    return helm_python.Chart.load(CHART)


def render_chart(
    values: Mapping[str, Any], *, folder: Path = CHART, release: str = "demo", namespace: str = "prod"
) -> Objects:
    """Raises HelmError as `helm install` would fail, and AssertionError for two objects of one name."""
    chart = loaded_chart() if folder == CHART else helm_python.Chart.load(folder)
    chart.validate_schema(dict(values))
    files = chart.render(dict(values), name=release, namespace=namespace)
    objects: Objects = {}
    for path, text in files.items():
        if path.endswith("NOTES.txt"):
            continue
        for document in filter(None, yaml.load_all(text, Loader=LOADER)):
            name, place = document["metadata"]["name"], document["metadata"].get("namespace", namespace)
            key = (document["kind"], name if place == namespace else f"{place}/{name}")
            assert key not in objects, f"two objects are {key}"
            # As the API server gets it: JSON, so that a number where a string has to be is seen.
            objects[key] = json.loads(json.dumps(document))
    return objects


@pytest.fixture(scope="session")
def known_settings() -> set[str]:
    """The environment variables that the settings class reads."""
    return {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, known_settings: set[str]) -> pytest.MonkeyPatch:
    """No setting of whoever runs the tests gets in."""
    for name in known_settings:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch
