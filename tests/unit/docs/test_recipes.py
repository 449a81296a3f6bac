"""The recipes of CONTRIBUTING.md are true: each touches at most three files, and following it is enough.

Each recipe is followed for something made up, in a copy of the source, by a change of just the files that it names; a
process of its own then finds what was added wherever it has to be seen, and does not find it where it must be missed.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MOST_FILES = 3
SERVICES = ("gateway", "provisioner", "binder", "syncer")
_STEP = re.compile(r"^\d+\. `([^`]+)`", re.MULTILINE)

_MODELS = "shared/chandlery/model/objects"
_ADMISSION = "services/gateway/chandlery_gateway/admission"
_CALLS = "shared/chandlery/osb/operations/instance_calls.py"
_ENTRIES = f"{_ADMISSION}/catalog/object_admission.py"
_ROWS = "docs/troubleshooting_remedies.py"


@dataclass(frozen=True)
class Edit:
    """One insertion: `added` goes right before `anchor`."""

    file: str
    anchor: str
    added: str


COLUMN = (
    Edit(
        "services/gateway/chandlery_gateway/kube/printing/table_columns.py",
        '        _text("Secret-Name", "spec.secretName"',
        '        _text("External-ID", "spec.externalID", "Id at the service broker."),\n',
    ),
)
RULE = (
    Edit(
        f"{_ADMISSION}/instance_admission.py",
        "    yield from class_and_plan_problems(spec)\n",
        '    if spec.external_id == "soup":\n        yield forbidden("spec.externalID", "must not be soup")\n',
    ),
)
REASON = (
    Edit(f"{_MODELS}/reasons.py", '    FETCHED_CATALOG = "FetchedCatalog"\n', '    SOUP_SPILT = "SoupSpilt"\n'),
    Edit(_ROWS, "    K.DELETION_BLOCKED: (", '    K.SOUP_SPILT: ("The soup is spilt.", "Mop it up."),\n'),
    Edit(
        "services/syncer/chandlery_syncer/absorb/broker_outcomes.py",
        "def blocked(",
        "def spilt(draft: BrokerDraft) -> None:\n"
        '    draft.ready(ConditionStatus.FALSE, BrokerReason.SOUP_SPILT, "The soup is spilt")\n\n\n',
    ),
)
KIND = (
    Edit(
        f"{_MODELS}/core.py",
        "class Secret(WireModel):",
        "class SoupSpec(WireModel):\n"
        '    """What is wanted."""\n\n'
        '    flavour: str = Field(default="", description="Such as leek.")\n\n\n'
        "class Soup(WireModel):\n"
        '    """A soup."""\n\n'
        '    api_version: Literal["v1"] = "v1"\n'
        '    kind: Literal["Soup"] = "Soup"\n'
        "    metadata: ObjectMeta = ObjectMeta()\n"
        "    spec: SoupSpec = SoupSpec()\n\n\n",
    ),
    Edit(
        f"{_MODELS}/kinds.py",
        "CATALOG_KINDS = (",
        'SOUP = Kind("Soup", "soups", core.Soup, group="", version="v1", has_status=False, body_fields=("spec",))\n',
    ),
    Edit(f"{_MODELS}/kinds.py", "NAMESPACE, SECRET, EVENT, SERVICE_ACCOUNT)\n", "SOUP, "),
    Edit(
        _ENTRIES, "        kinds.EVENT.kind: Entry(", "        kinds.SOUP.kind: Entry(KindRules(), CatalogRules()),\n"
    ),
)
OSB_FIELD = (
    Edit(
        "shared/chandlery/reconcile/operation/version_matrix.py",
        "    Verb.UPDATE: {**_INSTANCE",
        '    Verb.PROVISION: {**_INSTANCE, "soup": 17},\n',
    ),
    Edit(_CALLS, "\n\n@dataclass(frozen=True, kw_only=True)\nclass UpdateRequest", "    soup: str | None = None\n"),
    Edit(_CALLS, '        "organization_guid": request', '        "soup": request.soup,\n'),
    Edit(
        "services/provisioner/chandlery_provisioner/decide/planned_calls.py",
        "                organization_guid=cluster_id",
        '                soup="leek",\n',
    ),
)
SETTING = (
    Edit(
        "shared/chandlery/settings/settings.py",
        "    change_log_hours: PositiveFloat",
        '    soup_seconds: PositiveFloat = Field(default=3.0, description="How long soup is kept warm.")\n',
    ),
)

SEEN_COLUMN = """
from datetime import UTC, datetime
from chandlery.model.objects import kinds
from chandlery_gateway.kube.printing.table_columns import columns_of
columns = {column.name: column for column in columns_of(kinds.SERVICE_BINDING)}
assert columns["External-ID"].cell({"spec": {"externalID": "x1"}}, datetime.now(UTC)) == "x1"
assert "External-ID" not in {column.name for column in columns_of(kinds.SERVICE_INSTANCE)}
"""
SEEN_RULE = """
from chandlery.model.faults import Invalid
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
def instance(external_id):
    spec = {"clusterServiceClassExternalName": "db", "externalID": external_id}
    return ServiceInstance.model_validate({"metadata": {"name": "db", "namespace": "ns"}, "spec": spec})
ObjectAdmission().prepare(instance("x1"), UserInfo())
try:
    ObjectAdmission().prepare(instance("soup"), UserInfo())
except Invalid as fault:
    assert ("spec.externalID", "must not be soup") in {(each.field, each.message) for each in fault.problems}
else:
    raise AssertionError("admitted")
"""
SEEN_REASON = """
from docs import generate_troubleshooting
assert generate_troubleshooting.missing() == []
assert "| `SoupSpilt` | The soup is spilt. | Mop it up. |" in generate_troubleshooting.page()
import chandlery_syncer.absorb.broker_outcomes
"""
SEEN_KIND = """
import json
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Soup
from chandlery.model.objects.instances import UserInfo
from chandlery.store import schema
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.kube.kinds.served_kinds import ServedKinds
from chandlery_gateway.kube.openapi import discovery
from chandlery_gateway.kube.printing.table_columns import columns_of
from chandlery_gateway.routes.document_routes import Documents
served = ServedKinds.of("standalone")
assert "soups" in {entry["name"] for entry in discovery.resources("v1", served.every)["resources"]}
documents = Documents(served)
v3 = json.loads(next(kept.body for path, kept in documents.openapi_v3.items() if path.endswith("api/v1")))
assert "/api/v1/namespaces/{namespace}/soups" in v3["paths"]
assert any(name.endswith(".Soup") for name in v3["components"]["schemas"])
assert "soups" in schema.METADATA.tables
assert [column.name for column in columns_of(kinds.SOUP)] == ["Name", "Age"]
soup = Soup.model_validate({"metadata": {"name": "leek", "namespace": "ns"}, "spec": {"flavour": "leek"}})
assert ObjectAdmission().prepare(soup, UserInfo()).document.spec.flavour == "leek"
"""
SEEN_OSB_FIELD = """
import json
from types import SimpleNamespace
from chandlery.osb.operations import requests
from chandlery_provisioner.decide import planned_calls
call = planned_calls.Provision(service_id="s", plan_id="p", parameters=None, maintenance_version=None)
snapshot = SimpleNamespace(instance=SimpleNamespace(spec=SimpleNamespace(external_id="x1")), context={})
request = planned_calls.request_of(snapshot, call, space_guid="ns", cluster_id="c")
assert json.loads(requests.call_of(request).body)["soup"] == "leek"
assert "soup" not in json.loads(requests.call_of(request, "2.16").body)
stored = requests.encode(request)
assert requests.decode(stored) == request
assert requests.decode({key: value for key, value in stored.items() if key != "soup"}).soup is None
"""
SEEN_SETTING = """
from chandlery.settings.settings import load_settings
from docs import generate_settings
assert load_settings().soup_seconds == 3.0
import os
os.environ["CHANDLERY_SOUP_SECONDS"] = "4"
assert load_settings().soup_seconds == 4.0
assert "| `CHANDLERY_SOUP_SECONDS` | number | `3` | How long soup is kept warm. |" in generate_settings.page()
assert generate_settings.main(["--check"]) == 1, "the page and the chart's schema have to be written anew"
assert generate_settings.main([]) == 0
assert "CHANDLERY_SOUP_SECONDS" in open("deploy/chart/chandlery/values.schema.json").read()
"""
MISSED_REASON = """
from docs import generate_troubleshooting
assert generate_troubleshooting.missing() == ["BrokerReason.SOUP_SPILT"]
"""
MISSED_KIND = """
from chandlery.model.faults import BadRequest
from chandlery.model.objects.core import Soup
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
try:
    ObjectAdmission().prepare(Soup.model_validate({"metadata": {"name": "leek", "namespace": "ns"}}), UserInfo())
except BadRequest:
    pass
else:
    raise AssertionError("admitted")
"""


def recipes() -> dict[str, list[str]]:
    """What is added -> the files that its recipe names."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## How to add …\n")[2]
    parts = re.split(r"^### ", section.partition("\n## ")[0], flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: _STEP.findall(part) for part in parts}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source once more; what is not changed is linked."""

    def is_left_out(_folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "__pycache__"}

    for folder in ("shared", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, copy_function=os.symlink, ignore=is_left_out)
    for folder in ("docs", "deploy/chart", "deploy/alerts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=is_left_out)
    return tmp_path


def follow(copy: Path, edits: tuple[Edit, ...]) -> None:
    for edit in edits:
        path = copy / edit.file
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.anchor) == 1, f"{edit.file} has moved on: {edit.anchor}"
        path.unlink()
        path.write_text(text.replace(edit.anchor, edit.added + edit.anchor), encoding="utf-8")


def ask(copy: Path, check: str) -> None:
    paths = (".", "shared", *(f"services/{service}" for service in SERVICES))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHANDLERY_")},
        "PYTHONPATH": os.pathsep.join(str(copy / path) for path in paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_is_a_recipe_for_everything_that_is_added_often() -> None:
    assert set(recipes()) == {
        "A column",
        "An admission rule",
        "A condition reason",
        "A kind",
        "An OSB field",
        "A metric",
        "An alert",
        "A setting",
    }


@pytest.mark.parametrize(("title", "files"), recipes().items(), ids=lambda each: each if isinstance(each, str) else "")
def test_recipe_names_at_most_three_files_that_exist(title: str, files: list[str]) -> None:
    assert 1 <= len(set(files)) == len(files) <= MOST_FILES, title
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize(
    ("title", "edits", "check"),
    [
        pytest.param("A column", COLUMN, SEEN_COLUMN, id="column"),
        pytest.param("An admission rule", RULE, SEEN_RULE, id="rule"),
        pytest.param("A condition reason", REASON, SEEN_REASON, id="reason"),
        pytest.param("A kind", KIND, SEEN_KIND, id="kind"),
        pytest.param("An OSB field", OSB_FIELD, SEEN_OSB_FIELD, id="osb field"),
        pytest.param("A setting", SETTING, SEEN_SETTING, id="setting"),
    ],
)
def test_what_is_added_by_the_recipe_is_seen_everywhere(
    copy: Path, title: str, edits: tuple[Edit, ...], check: str
) -> None:
    assert {edit.file for edit in edits} == set(recipes()[title]), "the recipe names other files"
    follow(copy, edits)
    ask(copy, check)


@pytest.mark.parametrize(
    ("edits", "left_out", "check"),
    [
        pytest.param(REASON, _ROWS, MISSED_REASON, id="reason without a row"),
        pytest.param(KIND, _ENTRIES, MISSED_KIND, id="kind without an entry of admission"),
    ],
)
def test_a_step_that_is_left_out_is_noticed(copy: Path, edits: tuple[Edit, ...], left_out: str, check: str) -> None:
    follow(copy, tuple(edit for edit in edits if edit.file != left_out))
    ask(copy, check)
