"""Kubernetes' rules of garbage collection, one row each."""

from datetime import UTC, datetime

import pytest

from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import FOREGROUND, ORPHAN, ObjectMeta, OwnerReference
from chandlery_syncer.decide.garbage_machine import (
    DeleteDependent,
    Detach,
    GarbageVerdict,
    KeepObject,
    Owners,
    PartWithDependents,
    TakeAlong,
    is_the_owner,
    judge,
    kind_of_owner,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B = (OwnerReference(api_version="v1", kind="Secret", name=name, uid=name) for name in "ab")
FREE = Secret(metadata=ObjectMeta(name="s", namespace="ns"))


def going(*finalizers: str) -> Secret:
    return Secret(metadata=ObjectMeta(name="s", deletion_timestamp=NOON, finalizers=list(finalizers)))


@pytest.mark.parametrize(
    ("document", "owners", "has_dependents", "is_ring", "verdict"),
    [
        pytest.param(FREE, Owners(), False, False, KeepObject(), id="nobody owns it"),
        pytest.param(FREE, Owners(solid=(A,)), False, False, KeepObject(), id="its owner is there"),
        pytest.param(FREE, Owners(solid=(A,), gone=(B,)), False, False, Detach((A,)), id="one owner is gone"),
        pytest.param(FREE, Owners(solid=(A,), waiting=(B,)), True, False, Detach((A,)), id="one owner waits"),
        pytest.param(FREE, Owners(gone=(A, B)), True, False, DeleteDependent(None), id="all are gone"),
        pytest.param(
            FREE, Owners(gone=(A,), waiting=(B,)), False, False, DeleteDependent(None), id="owner waits for it"
        ),
        pytest.param(
            FREE, Owners(waiting=(A,)), True, False, DeleteDependent("Foreground"), id="and it owns something"
        ),
        pytest.param(FREE, Owners(waiting=(A,)), True, True, DeleteDependent("Foreground", unblocks=True), id="a ring"),
        pytest.param(going("x"), Owners(gone=(A,)), False, False, KeepObject(), id="it goes already"),
        pytest.param(going("x", ORPHAN), Owners(), False, False, PartWithDependents(), id="its own are to stay"),
        pytest.param(going(FOREGROUND), Owners(), False, False, TakeAlong(), id="its own are to go first"),
    ],
)
def test_what_becomes_of_an_object_whose_owners_go(
    document: Secret, owners: Owners, has_dependents: bool, is_ring: bool, verdict: GarbageVerdict
) -> None:
    assert judge(document, owners, has_dependents=has_dependents, is_ring=is_ring) == verdict


@pytest.mark.parametrize(
    ("owner", "is_sought"),
    [
        (A, True),
        (A.model_copy(update={"kind": "Deployment", "api_version": "apps/v1"}), False),
        (A.model_copy(update={"api_version": "v2"}), False),
        (A.model_copy(update={"kind": "Event"}), False),
    ],
    ids=["served", "not served", "another version", "events own nothing"],
)
def test_only_owners_of_kinds_that_are_served_are_looked_for(owner: OwnerReference, is_sought: bool) -> None:
    assert (kind_of_owner(FREE, owner) is not None) == is_sought


def test_an_object_without_a_namespace_has_no_owner_in_one() -> None:
    assert kind_of_owner(ClusterServiceBroker(metadata=ObjectMeta(name="b")), A) is None


@pytest.mark.parametrize(
    ("name", "namespace", "is_owner"), [("a", "ns", True), ("b", "ns", False), ("a", "elsewhere", False)]
)
def test_an_owner_is_known_by_its_name_and_namespace_too(name: str, namespace: str, is_owner: bool) -> None:
    assert is_the_owner(FREE, A, Secret(metadata=ObjectMeta(name=name, namespace=namespace))) == is_owner
