"""The article's walk-through with stock kubectl, line for line: on both forms of Chandlery, with both kubectls.

One walk is made for each pair; the tests look at what it printed.
"""

import base64
import re
from collections.abc import Iterator
from typing import Final, cast

import pytest
import yaml

from tests.e2e.stacks.article_walk import (
    BINDINGS,
    CLASSES,
    INSTANCES,
    PLANS,
    Walk,
    without_ages,
    without_place,
)
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import KubectlChoice
from tests.e2e.stacks.manifests import copy_examples
from tests.e2e.stacks.stacks import Stack
from tests.support.selection import IS_BRIEF

_MORE: Final = {} if IS_BRIEF else {"embedded-kubectl": ("embedded", "any"), "split-kubectl-1.20": ("split", "debian")}
CASES: Final = {**_MORE, "embedded-kubectl-1.20": ("embedded", "debian"), "split-kubectl": ("split", "any")}
"""Both forms and both versions of kubectl."""

SECRET: Final = """\
apiVersion: v1
data:
  password: MTIzNDU2
  uri: URI
  username: YWJj
kind: Secret
metadata:
  creationTimestamp: "TIME"
  name: demo-instance-credentials
  namespace: default
  ownerReferences:
  - apiVersion: servicecatalog.k8s.io/v1beta1
    blockOwnerDeletion: true
    controller: true
    kind: ServiceBinding
    name: demo-binding
    uid: UID
  resourceVersion: "VERSION"
  selfLink: /api/v1/namespaces/default/secrets/demo-instance-credentials
  uid: UID
type: Opaque
"""


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    form, choice = request.param
    stack: Stack = request.getfixturevalue(form)
    folder = tmp_path_factory.mktemp("walk")
    with DemoBroker(folder) as broker:
        copy_examples(folder, broker_url=broker.url)
        walk = Walk(broker, stack, stack.kubectl(cast("KubectlChoice", choice)))
        walk.make(folder)
        yield walk


def test_create_prints_the_articles_lines(walk: Walk) -> None:
    assert walk.printed["create broker"] == "clusterservicebroker.servicecatalog.k8s.io/demo-broker created\n"
    assert walk.printed["create instance"] == "serviceinstance.servicecatalog.k8s.io/demo-instance created\n"
    assert walk.printed["create binding"] == "servicebinding.servicecatalog.k8s.io/demo-binding created\n"


def test_broker_table_is_the_articles_apart_from_the_address(walk: Walk) -> None:
    url = walk.broker.url
    expected = f"{'NAME':14}{'URL':{len(url) + 3}}STATUS   AGE\n{'demo-broker':14}{url}   Ready    70s\n"
    assert without_ages(walk.printed["brokers"]) == without_ages(expected)


@pytest.mark.parametrize(
    ("step", "table"), [("classes", CLASSES), ("plans", PLANS), ("instances", INSTANCES), ("bindings", BINDINGS)]
)
def test_tables_are_the_articles(walk: Walk, step: str, table: str) -> None:
    assert without_ages(walk.printed[step]) == without_ages(table)


def test_secret_is_the_articles_apart_from_ids(walk: Walk) -> None:
    assert _without_ids(walk.printed["secret"]) == SECRET


def test_secret_holds_what_the_broker_handed_out(walk: Walk) -> None:
    data = yaml.safe_load(walk.printed["secret"])["data"]
    assert {key: base64.b64decode(value).decode() for key, value in data.items()} == {
        "uri": f"http://demo.local/{walk.binding_id}",
        "username": "abc",
        "password": "123456",
    }


def test_secret_is_owned_by_its_binding(walk: Walk) -> None:
    metadata = yaml.safe_load(walk.printed["secret"])["metadata"]
    assert metadata["ownerReferences"][0]["uid"] == walk.binding_uid
    assert metadata["uid"] != walk.binding_uid


def test_delete_prints_the_articles_lines(walk: Walk) -> None:
    assert without_place(walk.printed["delete binding"]) == (
        'servicebinding.servicecatalog.k8s.io "demo-binding" deleted\n'
    )
    assert without_place(walk.printed["delete instance"]) == (
        'serviceinstance.servicecatalog.k8s.io "demo-instance" deleted\n'
    )
    assert without_place(walk.printed["delete broker"]) == (
        'clusterservicebroker.servicecatalog.k8s.io "demo-broker" deleted\n'
    )


def test_nothing_is_left_after_the_deletes(walk: Walk) -> None:
    assert walk.instance_status_at_broker == 200
    assert walk.broker.status_of(f"/v2/service_instances/{walk.instance_id}") == 404
    left = {
        plural: walk.api.names(plural)
        for plural in (
            "clusterservicebrokers",
            "clusterserviceclasses",
            "clusterserviceplans",
            "serviceinstances",
            "servicebindings",
            "secrets",
        )
    }
    assert not any(left.values()), left


def test_broker_is_called_once_for_each_step(walk: Walk) -> None:
    path = f"/v2/service_instances/{walk.instance_id}"
    bound = f"{path}/service_bindings/{walk.binding_id}"
    mutations = [request for request in walk.broker.requests() if request[0] != "GET"]
    assert mutations == [("PUT", path, 201), ("PUT", bound, 201), ("DELETE", bound, 200), ("DELETE", path, 200)]


def test_walk_takes_a_few_seconds_only(walk: Walk) -> None:
    """No step may wait for a periodic look: fifteen commands, each woken by an event."""
    assert walk.seconds < 20


def _without_ids(text: str) -> str:
    for pattern, word in (
        (r"(?<=uri: )[A-Za-z0-9+/=]+$", "URI"),
        (r'(?<=creationTimestamp: ")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', "TIME"),
        (r"(?<=uid: )[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "UID"),
        (r'(?<=resourceVersion: ")\d+', "VERSION"),
    ):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text
