"""What the chart refuses for what it finds in the cluster. The engine alone finds nothing, so answers are given here.

In tests/cluster/sets Helm asks a real kube-apiserver.
"""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest

from tests.unit.deploy.conftest import CHART
from tests.unit.deploy.sets.value_sets import NAMESPACE, RELEASE, values_of

Render = Callable[..., dict[str, str]]

_MINE: Final = f"mine:{'A' * 43}="
_MADE: Final = f"generated:{'B' * 43}="
_GATEWAY: Final = {"Deployment demo-chandlery-gateway": {"kind": "Deployment"}}
_OF_TRIAL: Final = {"Secret demo-chandlery-postgres": {"kind": "Secret"}}
_ANSWER: Final = """{{- define "chandlery.found" -}}
{{- get (.root.Files.Get "found.json" | fromJson) (printf "%s %s" .kind .name) | default dict | toJson -}}
{{- end }}"""


def secret(name: str, **texts: str) -> dict[str, Any]:
    """A Secret as kube-apiserver hands it out."""
    data = {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {f"Secret {name}": {"kind": "Secret", "data": data}}


_MADE_UP: Final = secret("demo-chandlery-generated-key", encryption_keys=_MADE)


@pytest.fixture
def upgrade(tmp_path: Path) -> Render:
    """Renders an upgrade, or an install, where the objects named are in the cluster: kind and name, and their body."""

    def render(values: dict[str, Any], *found: dict[str, Any], is_upgrade: bool = True) -> dict[str, str]:
        folder = tmp_path / "chandlery"
        shutil.copytree(CHART, folder, dirs_exist_ok=True)
        (folder / "templates/_found.tpl").write_text(_ANSWER)
        (folder / "found.json").write_text(json.dumps({name: body for each in found for name, body in each.items()}))
        with helm_python.Chart.load(folder) as chart:
            chart.validate_schema(values)
            return chart.render(
                values, name=RELEASE, namespace=NAMESPACE, is_install=not is_upgrade, is_upgrade=is_upgrade, revision=2
            )

    return render


def test_an_installation_does_not_become_a_trial_when_its_values_are_forgotten(upgrade: Render) -> None:
    """Its pods would be sent to an empty PostgreSQL, and service brokers go on to keep what nobody knows of."""
    with pytest.raises(helm_python.HelmError, match=r"release demo is no trial, .* values of before again"):
        upgrade({"settings": {"logLevel": "debug"}}, _GATEWAY)


def test_a_trial_is_upgraded_and_installed_again(upgrade: Render) -> None:
    assert upgrade({}, _GATEWAY, _OF_TRIAL)
    assert upgrade({}, _OF_TRIAL, is_upgrade=False)
    # What failed before there was anything.
    assert upgrade({})


def test_an_installation_is_upgraded_with_its_values(upgrade: Render) -> None:
    assert upgrade(values_of("external-a-secret-for-each"), _GATEWAY)


_SECRETS: Final = values_of("external-a-secret-for-each")
_ALL_IN_ONE: Final = values_of("external-in-one-secret")


def keys_in(values: dict[str, Any], keys: str) -> dict[str, Any]:
    """The Secret that these values name, with these keys."""
    own = values.get("encryption", {}).get("existingSecret")
    name = own["name"] if own else values["existingSecret"]["name"]
    key = own.get("key", "encryption-keys") if own else "encryption-keys"
    return secret(name, **{key: keys})


@pytest.mark.parametrize(
    ("values", "place"),
    [(_SECRETS, "encryption.existingSecret"), (_ALL_IN_ONE, "existingSecret")],
    ids=["a-secret-of-their-own", "all-in-one"],
)
def test_keys_in_a_secret_have_to_have_the_one_that_was_made_up(
    upgrade: Render, values: dict[str, Any], place: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=f'{place} lacks the key "generated" of Secret demo-chandlery-gen'):
        upgrade(values, _GATEWAY, _MADE_UP, keys_in(values, _MINE))
    assert upgrade(values, _GATEWAY, _MADE_UP, keys_in(values, f"{_MINE},{_MADE}"))
    # What can not be seen is no reason to refuse.
    assert upgrade(values, _GATEWAY, _MADE_UP)


def test_keys_among_the_values_have_to_have_the_one_that_was_made_up(upgrade: Render) -> None:
    values = values_of("external-among-the-values")
    given = {**values, "encryption": {"keys": [_MINE]}}
    with pytest.raises(helm_python.HelmError, match=r'encryption\.keys lacks the key "generated"') as refused:
        upgrade(given, _GATEWAY, _MADE_UP)
    assert _MINE not in str(refused.value)
    assert upgrade({**values, "encryption": {"keys": [_MINE, _MADE]}}, _GATEWAY, _MADE_UP)
