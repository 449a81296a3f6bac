"""The article in a real cluster, word for word, with both kubectls: every command goes to kube-apiserver.

What is of the cluster (the Secret) is read as the cluster shows it.
"""

import base64
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.stage.installed import InstalledChandlery
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

CHOICES: tuple[KubectlChoice, ...] = ("any", "debian")


@pytest.fixture(scope="module", params=CHOICES, ids=["kubectl", "kubectl-1.20"])
def walk(
    request: pytest.FixtureRequest, chandlery: InstalledChandlery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    with DemoBroker(folder) as broker:
        copy_examples(folder, broker_url=broker.url)
        walk = Walk(broker, chandlery, chandlery.kubectl(request.param))
        walk.make(folder)
        yield walk


def test_create_prints_the_articles_lines(walk: Walk) -> None:
    assert walk.printed["create broker"] == "clusterservicebroker.servicecatalog.k8s.io/demo-broker created\n"
    assert walk.printed["create instance"] == "serviceinstance.servicecatalog.k8s.io/demo-instance created\n"
    assert walk.printed["create binding"] == "servicebinding.servicecatalog.k8s.io/demo-binding created\n"


@pytest.mark.parametrize(
    ("step", "table"), [("classes", CLASSES), ("plans", PLANS), ("instances", INSTANCES), ("bindings", BINDINGS)]
)
def test_tables_are_the_articles(walk: Walk, step: str, table: str) -> None:
    assert without_ages(walk.printed[step]) == without_ages(table)


def test_the_clusters_secret_holds_what_the_broker_handed_out(walk: Walk) -> None:
    secret = yaml.safe_load(walk.printed["secret"])
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "uri": f"http://demo.local/{walk.binding_id}",
        "username": "abc",
        "password": "123456",
    }
    assert secret["type"] == "Opaque"


def test_the_clusters_secret_is_owned_by_its_binding(walk: Walk) -> None:
    assert yaml.safe_load(walk.printed["secret"])["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "servicecatalog.k8s.io/v1beta1",
            "kind": "ServiceBinding",
            "name": "demo-binding",
            "uid": walk.binding_uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_delete_prints_the_articles_lines(walk: Walk) -> None:
    for step, what in (
        ("delete binding", 'servicebinding.servicecatalog.k8s.io "demo-binding"'),
        ("delete instance", 'serviceinstance.servicecatalog.k8s.io "demo-instance"'),
        ("delete broker", 'clusterservicebroker.servicecatalog.k8s.io "demo-broker"'),
    ):
        assert without_place(walk.printed[step]) == f"{what} deleted\n"


def test_nothing_is_left_after_the_deletes(walk: Walk) -> None:
    assert walk.instance_status_at_broker == 200
    assert walk.broker.status_of(f"/v2/service_instances/{walk.instance_id}") == 404
    plurals = ("clusterservicebrokers", "clusterserviceclasses", "clusterserviceplans")
    left = {plural: walk.api.names(plural) for plural in (*plurals, "serviceinstances", "servicebindings")}
    assert not any(left.values()), left
    assert walk.api.find("secrets", "demo-instance-credentials") is None


def test_the_broker_is_called_once_for_each_step(walk: Walk) -> None:
    path = f"/v2/service_instances/{walk.instance_id}"
    bound = f"{path}/service_bindings/{walk.binding_id}"
    mutations = [request for request in walk.broker.requests() if request[0] != "GET"]
    assert mutations == [("PUT", path, 201), ("PUT", bound, 201), ("DELETE", bound, 200), ("DELETE", path, 200)]
