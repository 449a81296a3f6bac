"""What becomes of a binding of Service Catalog, by the state that its controller has left it in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.process.takeover import Neighbourhood, Stance, TakenOver
from chandlery.reconcile.parameters.keyed_checksums import ChecksumKeys
from chandlery_binder.facts.binding_notes import BindingMemory
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.taken_bindings import take_binding
from tests.support.dumps import old_catalog as old

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOING = {"deletionTimestamp": old.SINCE}
UNDER_WAY = {"asyncOpInProgress": True, "lastOperation": "op-1", "operationStartTime": old.SINCE}
NOT_READY = [old.condition("Ready", "False", "Binding")]


def plain(document: old.Document) -> old.Document:
    return {**document, "metadata": {**document["metadata"], "managedFields": None}}


def taken(document: old.Document, **around: Any) -> TakenOver:
    instance = ServiceInstance.model_validate(plain(old.instance("a", old.provisioned())))
    known = {"lane": "broker:/harbour", "service_id": old.CLASS, "plan_id": old.SMALL, "instance": instance, **around}
    neighbourhood = Neighbourhood(poll_seconds=60.0, checksums=ChecksumKeys([b"k" * 32]), now=NOW, **known)
    return take_binding(ServiceBinding.model_validate(plain(document)), neighbourhood)


STANCES = {
    "ready": (old.binding("b", "a", old.bound()), Stance.AT_REST),
    "failed": (old.binding("b", "a", old.unbindable()), Stance.AT_REST),
    "binding": (
        old.binding("b", "a", old.bound(**UNDER_WAY, conditions=NOT_READY, currentOperation="Bind")),
        Stance.POLLED,
    ),
    "unbinding": (
        old.binding("b", "a", old.bound(**UNDER_WAY, conditions=NOT_READY, currentOperation="Unbind"), metadata=GOING),
        Stance.POLLED,
    ),
    "being tried": (
        old.binding("b", "a", old.bound(conditions=NOT_READY, currentOperation="Bind")),
        Stance.HELD,
    ),
    "mitigating": (
        old.binding("b", "a", old.bound(conditions=NOT_READY, orphanMitigationInProgress=True)),
        Stance.HELD,
    ),
    "new": (old.binding("b", "a", {}), Stance.HELD),
    "to be deleted": (old.binding("b", "a", old.bound(), metadata=GOING), Stance.HELD),
    "to be deleted, and nothing there": (
        old.binding("b", "a", {"unbindStatus": "NotRequired"}, metadata=GOING),
        Stance.LEAVING,
    ),
}


@pytest.mark.parametrize(("document", "stance"), STANCES.values(), ids=STANCES.keys())
def test_a_binding_is_left_alone_unless_it_only_has_to_be_asked_about(document: old.Document, stance: Stance) -> None:
    found = taken(document)
    assert (found.stance, found.problem) == (stance, "")
    assert bool(found.why) == (stance == Stance.HELD)


def test_the_notes_have_what_an_unbind_needs() -> None:
    memory = BindingMemory.model_validate(taken(old.binding("b", "a", old.bound())).memory)
    assert (memory.lane, memory.id_lane) == ("broker:/harbour", "broker:/harbour")
    place = memory.placement
    assert (place.instance_id, place.service_id, place.plan_id) == ("id-of-a", old.CLASS, old.SMALL)


def test_a_copy_of_the_credentials_is_kept_of_a_binding_that_is_ready() -> None:
    credentials = {"password": "p"}
    ready = taken(old.binding("b", "a", old.bound()), credentials=credentials)
    assert SealedNotes.from_stored(ready.sealed).delivered == credentials
    assert taken(old.binding("b", "a", old.unbindable()), credentials=credentials).sealed is None
    assert taken(old.binding("b", "a", old.bound())).sealed is None


def test_a_binding_that_nobody_could_unbind_does_not_fit() -> None:
    bound = old.binding("b", "a", old.bound())
    assert "its ServiceInstance is not known" in taken(bound, instance=None).problem
    assert "its class is not known" in taken(bound, service_id="").problem
    assert taken(old.binding("b", "a", {}), instance=None).problem == ""
