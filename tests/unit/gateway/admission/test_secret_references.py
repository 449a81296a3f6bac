"""Which Secrets an object has sent to a service broker, and when a change has them sent anew."""

from types import SimpleNamespace
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.breaths import Breaths
from chandlery_gateway.admission.catalog.object_admission import AccessUndecided, ObjectAdmission

ADMISSION = ObjectAdmission()
ANN = UserInfo(username="ann")

SPECS: dict[str, dict[str, Any]] = {
    "ServiceInstance": {"clusterServiceClassName": "mysql"},
    "ServiceBinding": {"instanceRef": {"name": "db"}},
    "ServiceBroker": {"url": "https://broker.example.com"},
    "ClusterServiceBroker": {"url": "https://broker.example.com"},
}


def desired(kind: str, **spec: Any) -> AnyObject:
    metadata = {"name": "mine"} if kind.startswith("Cluster") else {"name": "mine", "namespace": "team"}
    document: AnyObject = kinds.KINDS[kind].model.model_validate({"metadata": metadata, "spec": SPECS[kind] | spec})
    return document


PARAMETERS = [{"secretKeyRef": {"name": "one", "key": "k"}}, {"secretKeyRef": {"name": "two", "key": "k"}}]
FROM_PARAMETERS = [
    ("spec.parametersFrom[0].secretKeyRef", "team", "one"),
    ("spec.parametersFrom[1].secretKeyRef", "team", "two"),
]
TRANSFORMS = [{"removeKey": {"key": "a"}}, {"addKeysFrom": {"secretRef": {"name": "ca"}}}]


@pytest.mark.parametrize(
    ("kind", "spec", "found"),
    [
        ("ServiceInstance", {}, []),
        ("ServiceInstance", {"parametersFrom": PARAMETERS}, FROM_PARAMETERS),
        ("ServiceBinding", {"parametersFrom": PARAMETERS}, FROM_PARAMETERS),
        (
            "ServiceBinding",
            {"secretTransforms": TRANSFORMS},
            [("spec.secretTransforms[1].addKeysFrom.secretRef", "team", "ca")],
        ),
        (
            "ServiceBroker",
            {
                "authInfo": {
                    "oauth2": {"tokenURL": "https://login.example.com", "secretRef": {"name": "client"}},
                    "clientCertificate": {"secretRef": {"name": "tls"}},
                }
            },
            [
                ("spec.authInfo.clientCertificate.secretRef", "team", "tls"),
                ("spec.authInfo.oauth2.secretRef", "team", "client"),
            ],
        ),
        (
            "ServiceBroker",
            {"authInfo": {"basic": {"secretRef": {"name": "login"}}}},
            [("spec.authInfo.basic.secretRef", "team", "login")],
        ),
        (
            "ClusterServiceBroker",
            {
                "authInfo": {
                    "basic": {"secretRef": {"namespace": "a", "name": "login"}},
                    "bearer": {"secretRef": {"namespace": "b", "name": "token"}},
                }
            },
            [("spec.authInfo.basic.secretRef", "a", "login"), ("spec.authInfo.bearer.secretRef", "b", "token")],
        ),
    ],
)
def test_secrets_are_found_wherever_an_object_names_them(
    kind: str, spec: dict[str, Any], found: list[tuple[str, str, str]]
) -> None:
    references = ADMISSION.prepare(desired(kind, **spec), ANN).secrets
    assert sorted((one.field, one.namespace, one.name) for one in references) == found


async def asked_of(old: AnyObject, sent: AnyObject) -> set[str]:
    """The fields that name Secrets of which a change has the authorizer asked."""
    unit: Any = SimpleNamespace(breaths=Breaths())
    try:
        await ADMISSION.admit_update(unit, old, sent, user=ANN, readable=frozenset())
    except AccessUndecided as fault:
        return {reference.field for reference in fault.references}
    return set()


async def test_a_change_of_where_a_secret_is_sent_counts_like_one_of_the_secret() -> None:
    auth = {"bearer": {"secretRef": {"name": "token"}}}
    old = ADMISSION.prepare(desired("ServiceBroker", authInfo=auth), ANN).document
    elsewhere = desired("ServiceBroker", authInfo=auth, url="https://thief.example.com")
    assert await asked_of(old, elsewhere) == {"spec.authInfo.bearer.secretRef"}
    labels = old.metadata.model_copy(update={"labels": {"a": "b"}})
    assert await asked_of(old, old.model_copy(update={"metadata": labels})) == set()
