"""What happened to an instance whose first tries failed, as kubectl shows it: operations, events, after its end."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.manifests import cluster_broker, instance
from tests.e2e.stacks.stacks import Stack

CROWDED: Final = Reply(429, {"description": "no room at the inn"})


@pytest.fixture(scope="module")
def broker() -> Iterator[ScriptedPeer]:
    with scripted_peer(simple_catalog(simple_service("rooms", plans=["small"]))) as peer:
        yield peer


@pytest.fixture(scope="module")
def kubectl(stack: Stack, broker: ScriptedPeer) -> Kubectl:
    found = stack.kubectl()
    found.apply(cluster_broker("inn", broker.url))
    found.ok("wait", "--for=condition=Ready", "clusterservicebroker/inn", "--timeout=30s")
    return found


def cells(table: str) -> list[dict[str, str]]:
    """The rows of a table, by the names of its columns."""
    head, *rows = table.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", head)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    names = [head[start:end].strip() for start, end in spans]
    return [dict(zip(names, (row[start:end].strip() for start, end in spans), strict=True)) for row in rows]


def test_what_happened_is_told_by_history_and_events_and_stays(kubectl: Kubectl, broker: ScriptedPeer) -> None:
    api = ApiClient(kubectl.kubeconfig)
    broker.script(osb.PROVISION, CROWDED, CROWDED)
    kubectl.create(instance("late", "rooms", "small"))
    ready = api.await_ready("serviceinstances", "late")

    [provision] = cells(kubectl.ok("get", "serviceinstanceoperations"))
    wanted = {"INSTANCE": "late", "OPERATION": "Provision", "REASON": "Created", "REQUESTED-BY": "admin"}
    wanted |= {"ATTEMPTS": "3", "OUTCOME": "Succeeded", "ANSWER": "201"}
    assert {name: provision[name] for name in wanted} == wanted
    assert re.fullmatch(r"\d+s", provision["DURATION"])
    [wide] = cells(kubectl.ok("get", "sio", "--field-selector", "instanceRef.name=late,since=1h", "-o", "wide"))
    assert (wide["LAST-FAILURE"], wide["BROKER"]) == ("429: no room at the inn", "inn")
    assert wide["EXTERNAL-ID"] == ready["spec"]["externalID"]

    described = kubectl.ok("describe", "serviceinstance", "late").partition("Events:")[2]
    failed = next(line for line in described.splitlines() if "ProvisionCallFailed" in line)
    assert re.search(r"Warning .*\(x2 over \d+s\) .*no room at the inn", failed), described
    assert "ProvisionedSuccessfully" in described
    path = "jsonpath={.items[*].metadata.annotations.chandlery\\.io/trace-id}"
    of_event = kubectl.ok("get", "events", "--field-selector", "reason=ProvisionCallFailed", "-o", path)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in (of_event, wide["TRACE-ID"]))

    kubectl.ok("delete", "serviceinstance", "late", "--timeout=30s")
    uid = f"instanceRef.uid={ready['metadata']['uid']}"
    told = cells(kubectl.ok("get", "serviceinstanceoperations", "--field-selector", uid))
    assert [(row["OPERATION"], row["REASON"], row["OUTCOME"]) for row in told] == [
        ("Deprovision", "Deleted", "Succeeded"),
        ("Provision", "Created", "Succeeded"),
    ]
    name = kubectl.ok(
        "get", "serviceinstanceoperations", "--field-selector", f"{uid},operation=Provision", "-o", "name"
    )
    assert "no room at the inn" in kubectl.ok("describe", name.strip())
