"""What people do with kubectl besides the walk-through: apply, patch, watch, wait, select, explain, dry runs.

The embedded form with both kubectls, the four processes with the one on PATH.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from tests.e2e.stacks.api_client import ApiClient, condition
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice, manifest
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.stacks import Stack
from tests.support.selection import IS_BRIEF
from tests.support.waiting import wait_for

_MORE: Final = {} if IS_BRIEF else {"embedded": ("embedded", "any")}
CASES: Final = {**_MORE, "embedded-1.20": ("embedded", "debian"), "split": ("split", "any")}

_PASSWORD: Final = "s3cret-of-the-broker"
_WATCHED: Final = re.compile(r"^watched +ClusterServiceClass/demo-service +default +Ready", re.MULTILINE)


@pytest.fixture(scope="module")
def demo_broker(folder: Path) -> Iterator[DemoBroker]:
    with DemoBroker(folder) as broker:
        yield broker


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def kubectl(request: pytest.FixtureRequest, demo_broker: DemoBroker) -> Kubectl:
    """One kubectl on a stack where the demo broker is registered."""
    form, choice = request.param
    stack: Stack = request.getfixturevalue(form)
    found = stack.kubectl(cast("KubectlChoice", choice))
    found.apply(cluster_broker("demo-broker", demo_broker.url))
    found.ok("wait", "--for=condition=Ready", "clusterservicebroker/demo-broker", "--timeout=30s")
    return found


@pytest.fixture
def api(kubectl: Kubectl) -> ApiClient:
    return ApiClient(kubectl.kubeconfig)


@pytest.fixture(autouse=True)
def nothing_left(kubectl: Kubectl) -> Iterator[None]:
    """Each test begins without instances, bindings and Secrets of its predecessor."""
    yield
    kubectl.ok("delete", "servicebindings,serviceinstances,secrets", "--all", "--timeout=30s")


def _wait(kubectl: Kubectl, subject: str) -> None:
    kubectl.ok("wait", "--for=condition=Ready", subject, "--timeout=30s")


def test_apply_says_created_unchanged_and_configured(kubectl: Kubectl) -> None:
    name = "serviceinstance.servicecatalog.k8s.io/applied"
    wanted = instance("applied", parameters={"size": 1})
    assert kubectl.apply(wanted) == f"{name} created\n"
    _wait(kubectl, "serviceinstance/applied")
    assert kubectl.apply(wanted) == f"{name} unchanged\n"
    changed = instance("applied", parameters={"size": 2})
    assert kubectl.apply(changed) == f"{name} configured\n"
    found = kubectl.json("serviceinstance", "applied")
    assert found["spec"]["parameters"] == {"size": 2}
    assert found["metadata"]["generation"] == 2


def test_apply_of_a_new_wish_reaches_the_broker(kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker) -> None:
    kubectl.apply(instance("grown", parameters={"size": 1}))
    _wait(kubectl, "serviceinstance/grown")
    kubectl.apply(instance("grown", parameters={"size": 2}))
    found = api.await_ready("serviceinstances", "grown", generation=2)
    assert ("PATCH", f"/v2/service_instances/{found['spec']['externalID']}", 200) in demo_broker.requests()
    assert found["status"]["externalProperties"]["parameters"] == {"size": 2}


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"spec": {"parameters": {"size": 3}}, "metadata": {"labels": {"tier": "gold"}}}),
        (
            "json",
            [
                {"op": "add", "path": "/spec/parameters", "value": {"size": 3}},
                {"op": "add", "path": "/metadata/labels", "value": {"tier": "gold"}},
            ],
        ),
    ],
)
def test_patch_changes_spec_and_labels(kubectl: Kubectl, api: ApiClient, kind: str, patch: Any) -> None:
    kubectl.create(instance("patched"))
    _wait(kubectl, "serviceinstance/patched")
    printed = kubectl.ok("patch", "serviceinstance", "patched", f"--type={kind}", "-p", json.dumps(patch))
    assert printed == "serviceinstance.servicecatalog.k8s.io/patched patched\n"
    found = api.await_ready("serviceinstances", "patched", generation=2)
    assert found["spec"]["parameters"] == {"size": 3}
    assert found["metadata"]["labels"]["tier"] == "gold"


def test_edit_sends_what_the_editor_left(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.create(instance("edited", parameters={"size": 1}))
    _wait(kubectl, "serviceinstance/edited")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/size: 1/size: 7/" "$1"\n')
    editor.chmod(0o755)
    printed = kubectl.run("edit", "serviceinstance", "edited", KUBE_EDITOR=str(editor))
    assert printed.out == "serviceinstance.servicecatalog.k8s.io/edited edited\n", str(printed)
    assert kubectl.json("serviceinstance", "edited")["spec"]["parameters"] == {"size": 7}


def test_label_and_annotate_change_metadata_only(kubectl: Kubectl) -> None:
    kubectl.create(instance("marked"))
    kubectl.ok("label", "serviceinstance", "marked", "team=blue")
    kubectl.ok("annotate", "serviceinstance", "marked", "note=hello")
    metadata = kubectl.json("serviceinstance", "marked")["metadata"]
    assert metadata["labels"]["team"] == "blue"
    assert metadata["annotations"] == {"note": "hello"}
    assert metadata["generation"] == 1


def test_describe_shows_spec_conditions_and_events(kubectl: Kubectl) -> None:
    kubectl.create(instance("described"))
    _wait(kubectl, "serviceinstance/described")
    text = kubectl.ok("describe", "serviceinstance", "described")
    assert re.search(r"^Name: +described$", text, re.MULTILINE)
    assert re.search(r"^Kind: +ServiceInstance$", text, re.MULTILINE)
    assert re.search(r"^ +Reason: +ProvisionedSuccessfully$", text, re.MULTILINE)
    events = text[text.index("Events:") :]
    assert re.search(
        r"^  Normal +ProvisionedSuccessfully +\S+ +\S+ +The instance was provisioned successfully$",
        events,
        re.MULTILINE,
    )


def test_events_can_be_listed(kubectl: Kubectl) -> None:
    kubectl.create(instance("eventful"))
    _wait(kubectl, "serviceinstance/eventful")
    text = kubectl.ok("get", "events", "--field-selector", "involvedObject.name=eventful")
    assert re.match(r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n", text)
    assert re.search(r"Normal +ProvisionedSuccessfully +serviceinstance/eventful +The instance", text)


def test_explain_describes_fields(kubectl: Kubectl) -> None:
    text = kubectl.ok("explain", "serviceinstance.spec")
    assert re.search(r"^KIND: +ServiceInstance$", text, re.MULTILINE)
    assert re.search(r"^ +clusterServiceClassExternalName\t<string>", text, re.MULTILINE)
    assert re.search(r"^ +parameters\t<", text, re.MULTILINE)
    whole = kubectl.ok("explain", "servicebinding", "--recursive")
    assert re.search(r"^ +secretName\t<string>", whole, re.MULTILINE)


def test_get_watch_shows_the_way_to_ready(kubectl: Kubectl, tmp_path: Path) -> None:
    output = tmp_path / "watch"
    kubectl.create(instance("before"))
    _wait(kubectl, "serviceinstance/before")
    watching = kubectl.begin("get", "serviceinstances", "-w", output=output)
    try:
        wait_for(output.read_text, lambda text: "before" in text, what="the list before the watch")
        kubectl.create(instance("watched"))
        wait_for(
            output.read_text,
            lambda text: bool(
                re.search(r"^watched +ClusterServiceClass/demo-service +default +Ready", text, re.MULTILINE)
            ),
            what="the watch to show Ready",
        )
        kubectl.ok("delete", "serviceinstance", "watched")
    finally:
        watching.terminate()
        watching.wait(10)
    assert output.read_text().splitlines()[0].split() == ["NAME", "CLASS", "PLAN", "STATUS", "AGE"]


def test_wait_for_deletion_returns_when_the_object_is_gone(kubectl: Kubectl) -> None:
    kubectl.create(instance("leaving"))
    _wait(kubectl, "serviceinstance/leaving")
    kubectl.ok("delete", "serviceinstance", "leaving", "--wait=false")
    printed = kubectl.run("wait", "--for=delete", "serviceinstance/leaving", "--timeout=30s")
    # It may be gone before kubectl looks first, which the older one calls an error.
    assert printed.code == 0 or printed.err.rstrip().endswith(("not found", "no matching resources found")), str(
        printed
    )
    assert kubectl.run("get", "serviceinstance", "leaving").code == 1


def test_selectors_choose_by_label_and_field(kubectl: Kubectl) -> None:
    kubectl.create(instance("one"), instance("two"))
    kubectl.ok("label", "serviceinstance", "one", "team=blue")
    kubectl.ok("label", "serviceinstance", "two", "team=red")
    names = ("get", "serviceinstances", "-o", "name")
    one, two = (f"serviceinstance.servicecatalog.k8s.io/{name}\n" for name in ("one", "two"))
    assert kubectl.ok(*names, "-l", "team=blue") == one
    assert kubectl.ok(*names, "-l", "team!=blue") == two
    assert kubectl.ok(*names, "-l", "team in (blue, red)") == one + two
    assert kubectl.ok(*names, "-l", "!team") == ""
    assert kubectl.ok(*names, "--field-selector", "metadata.name=two") == two
    found = kubectl.ok(
        "get", "clusterserviceclasses", "--field-selector", "spec.externalName=demo-service", "-o", "name"
    )
    assert found == "clusterserviceclass.servicecatalog.k8s.io/6b6b5306-5c37-4fba-a402-186f8a0dfa0a\n"


def test_server_dry_run_checks_and_stores_nothing(kubectl: Kubectl) -> None:
    stdin = manifest(instance("imagined"))
    printed = kubectl.ok("create", "--dry-run=server", "-f", "-", stdin=stdin)
    assert printed == "serviceinstance.servicecatalog.k8s.io/imagined created (server dry run)\n"
    refused = kubectl.run("create", "--dry-run=server", "-f", "-", stdin=manifest(instance("imagined", "")))
    assert refused.code == 1
    assert kubectl.run("get", "serviceinstance", "imagined").code == 1


def test_delete_by_file_takes_everything_in_it(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(manifest(binding("b", "i"), instance("i")))
    kubectl.ok("create", "-f", str(file))
    _wait(kubectl, "servicebinding/b")
    printed = kubectl.ok("delete", "-f", str(file), "--timeout=30s")
    assert len(printed.splitlines()) == 2
    assert kubectl.ok("get", "serviceinstances,servicebindings,secrets", "-o", "name") == ""


def test_get_all_lists_the_catalog_kinds(kubectl: Kubectl) -> None:
    kubectl.create(instance("listed"))
    _wait(kubectl, "serviceinstance/listed")
    text = kubectl.ok("get", "all")
    assert "serviceinstance.servicecatalog.k8s.io/listed" in text
    assert "clusterservicebroker.servicecatalog.k8s.io/demo-broker" in text
    assert "secret/" not in text


def test_output_formats_agree(kubectl: Kubectl) -> None:
    kubectl.create(instance("shown"))
    _wait(kubectl, "serviceinstance/shown")
    get = ("get", "serviceinstance", "shown")
    from_json = json.loads(kubectl.ok(*get, "-o", "json"))
    assert yaml.safe_load(kubectl.ok(*get, "-o", "yaml")) == from_json
    assert kubectl.ok(*get, "-o", "jsonpath={.spec.externalID}") == from_json["spec"]["externalID"]
    assert kubectl.ok(*get, "-o", "wide").split()[:5] == ["NAME", "CLASS", "PLAN", "STATUS", "AGE"]
    assert kubectl.ok(*get, "-o", "custom-columns=N:.metadata.name").split() == ["N", "shown"]
    assert kubectl.ok(*get, "--no-headers").split()[:4] == [
        "shown",
        "ClusterServiceClass/demo-service",
        "default",
        "Ready",
    ]


def test_namespaces_separate_instances(kubectl: Kubectl, api: ApiClient) -> None:
    assert kubectl.ok("create", "namespace", "team-a") == "namespace/team-a created\n"
    kubectl.ok("-n", "team-a", "create", "-f", "-", stdin=manifest(instance("mine"), binding("mine", "mine")))
    api.await_ready("servicebindings", "mine", namespace="team-a")
    assert kubectl.ok("get", "serviceinstances", "-o", "name") == ""
    rows = kubectl.ok("get", "serviceinstances", "-A", "--no-headers").splitlines()
    assert [row.split()[:2] for row in rows] == [["team-a", "mine"]]
    assert kubectl.ok("delete", "namespace", "team-a", "--timeout=30s").startswith('namespace "team-a" deleted')
    assert kubectl.ok("get", "serviceinstances,servicebindings", "-A", "-o", "name") == ""
    assert api.names("namespaces") == ["default"]


def test_replace_puts_the_whole_object(kubectl: Kubectl) -> None:
    kubectl.create(instance("replaced"))
    _wait(kubectl, "serviceinstance/replaced")
    found = kubectl.json("serviceinstance", "replaced")
    found["metadata"]["labels"]["team"] = "green"
    assert kubectl.ok("replace", "-f", "-", stdin=manifest(found)).endswith("replaced\n")
    assert kubectl.json("serviceinstance", "replaced")["metadata"]["labels"]["team"] == "green"


@pytest.fixture
def nothing_registered(kubectl: Kubectl, demo_broker: DemoBroker) -> Iterator[None]:
    """Without the demo broker, whose offerings nobody else may have."""
    kubectl.ok("delete", "clusterservicebroker", "demo-broker", "--timeout=30s")
    yield
    kubectl.ok("delete", "clusterservicebrokers", "--all", "--timeout=30s")
    kubectl.apply(cluster_broker("demo-broker", demo_broker.url))
    _wait(kubectl, "clusterservicebroker/demo-broker")


@pytest.mark.usefixtures("nothing_registered")
def test_secret_made_by_kubectl_opens_a_broker_with_basic_authentication(
    kubectl: Kubectl, api: ApiClient, tmp_path: Path
) -> None:
    with DemoBroker(tmp_path, "--username", "operator", "--password", _PASSWORD) as guarded:
        reference = {"basic": {"secretRef": {"namespace": "default", "name": "login"}}}
        kubectl.create(cluster_broker("guarded", guarded.url, authInfo=reference))
        missing = api.await_reason("clusterservicebrokers", "guarded", "ErrorFetchingCatalog")
        assert 'the Secret "default/login" does not exist' in missing["message"]

        _create_login(kubectl, "guessed-password")
        refused = api.await_object(
            "clusterservicebrokers", "guarded", lambda seen: "Status: 401" in condition(seen, "Ready")["message"]
        )
        assert "guessed-password" not in json.dumps(refused)

        kubectl.ok("delete", "secret", "login")
        _create_login(kubectl, _PASSWORD)
        _wait(kubectl, "clusterservicebroker/guarded")
        kubectl.create(instance("behind"), binding("behind", "behind"))
        _wait(kubectl, "servicebinding/behind")
        assert _PASSWORD not in kubectl.ok("get", "clusterservicebrokers,events", "-o", "yaml")
        kubectl.ok("delete", "servicebinding/behind", "serviceinstance/behind", "--timeout=30s")
        kubectl.ok("delete", "clusterservicebroker", "guarded", "--timeout=30s")


def _create_login(kubectl: Kubectl, password: str) -> None:
    words = ("create", "secret", "generic", "login", "--from-literal=username=operator")
    assert kubectl.ok(*words, f"--from-literal=password={password}") == "secret/login created\n"
