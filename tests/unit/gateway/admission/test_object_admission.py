"""The table of kinds: each has its rules, and what has none is refused rather than taken for something else."""

from types import SimpleNamespace
from typing import Any

import pytest

from chandlery.model.faults import BadRequest, Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS, AnyObject, Kind
from chandlery.store.breaths import Breaths
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.admission.offering_admission import OfferingRules

ADMISSION = ObjectAdmission()
ANN = UserInfo(username="ann")
OFFERINGS = {"ClusterServiceClass", "ServiceClass", "ClusterServicePlan", "ServicePlan"}
UNIT: Any = SimpleNamespace(breaths=Breaths())


def unknown(kind: str = "ServiceBroker") -> AnyObject:
    """An object of a kind that nobody has written rules for: well-formed, and so nothing else could refuse it."""
    document: AnyObject = KINDS[kind].model.model_validate({"metadata": {"name": "x"}, "spec": {"url": "http://x"}})
    return document.model_copy(update={"kind": "ServiceShare"})


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_has_rules_of_its_own(kind: Kind) -> None:
    rules = ADMISSION.entry_of(kind.model()).rules
    assert isinstance(rules, OfferingRules) is (kind.kind in OFFERINGS)
    assert (rules.actions is not None) is kind.has_finalizer, "what a worker looks after takes requests"


def test_a_new_object_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadRequest, match=r'kind "ServiceShare".*no rules'):
        ADMISSION.prepare(unknown(), ANN)


async def test_nothing_else_of_an_unknown_kind_is_admitted_either() -> None:
    with pytest.raises(BadRequest, match="ServiceShare"):
        await ADMISSION.admit_create(UNIT, unknown())
    with pytest.raises(BadRequest, match="ServiceShare"):
        await ADMISSION.admit_update(UNIT, unknown(), unknown(), user=ANN, readable=frozenset())
    with pytest.raises(BadRequest, match="ServiceShare"):
        ADMISSION.admit_status(unknown(), unknown())
    with pytest.raises(BadRequest, match="ServiceShare"):
        ADMISSION.admit_delete(unknown())


def test_the_default_namespace_alone_may_not_be_deleted() -> None:
    for kind in KINDS.values():
        document = kind.model.model_validate({"metadata": {"name": "default"}})
        if kind.kind == "Namespace":
            with pytest.raises(Forbidden, match="may not be deleted"):
                ADMISSION.admit_delete(document)
        else:
            ADMISSION.admit_delete(document)
