from types import SimpleNamespace
from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS, AnyObject
from chandlery.store.breaths import Breaths
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.admission.requested_action_admission import actions_changed

ADMISSION = ObjectAdmission()

MODELS: dict[str, dict[str, object]] = {
    "ServiceInstance": {"clusterServiceClassName": "c", "clusterServicePlanName": "p"},
    "ServiceBinding": {"instanceRef": {"name": "i"}, "secretName": "s"},
    "ClusterServiceBroker": {"url": "http://broker"},
    "ServiceBroker": {"url": "http://broker"},
}


def annotated(kind: str, annotations: dict[str, str] | None, **spec: object) -> AnyObject:
    wire = {"metadata": {"name": "x", "annotations": annotations}, "spec": {**MODELS[kind], **spec}}
    document: AnyObject = KINDS[kind].model.model_validate(wire)
    return document


def told(document: AnyObject, *, old: AnyObject | None = None) -> dict[str, str]:
    problems = ADMISSION.problems_on_create(document) if old is None else ADMISSION.problems_on_update(old, document)
    return {problem.field: problem.message for problem in problems if problem.field.startswith("metadata.annotations[")}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("action", "value", "words"),
    [
        ("retry-requested-at", "2030-01-01T00:00:00Z", None),
        ("retry-requested-at", "", "such as the current time"),
        ("retry-requested-at", "x" * 254, "1 to 253 characters"),
        ("force-delete", "true", None),
        ("force-delete", "false", None),
        ("force-delete", "yes", '"true" or "false"'),
        ("force-delete", "", '"true" or "false"'),
        ("retry", "now", "accepts chandlery.io/retry-requested-at, "),
        ("", "now", "accepts chandlery.io/retry-requested-at, "),
    ],
)
def test_actions_of_every_kind_with_a_worker(kind: str, action: str, value: str, words: str | None) -> None:
    key = f"chandlery.io/{action}"
    found = told(annotated(kind, {key: value, "example.com/other": "yes"}))
    if words is None:
        assert found == {}
    else:
        assert found.keys() == {f"metadata.annotations[{key}]"}
        assert words in found[f"metadata.annotations[{key}]"]


@pytest.mark.parametrize(
    ("action", "value", "kinds"),
    [
        ("abandon", "true", {"ServiceInstance", "ServiceBinding"}),
        ("orphan-mitigation", "Manual", {"ServiceInstance", "ServiceBinding"}),
        ("orphan-mitigation", "Automatic", {"ServiceInstance", "ServiceBinding"}),
        ("orphan-mitigation", "Waive", {"ServiceInstance", "ServiceBinding"}),
        ("orphan-mitigation", "manual", set()),
        ("abandon", "True", set()),
        ("rotate-requested-at", "now", {"ServiceBinding"}),
        ("rotate-requested-at", "", set()),
    ],
)
def test_actions_are_known_where_they_mean_something(action: str, value: str, kinds: set[str]) -> None:
    assert {kind for kind in MODELS if not told(annotated(kind, {f"chandlery.io/{action}": value}))} == kinds


async def test_kinds_without_a_worker_take_no_actions_and_are_not_checked() -> None:
    old = KINDS["Namespace"].model.model_validate({"metadata": {"name": "x"}})
    sent = KINDS["Namespace"].model.model_validate({"metadata": {"name": "x", "annotations": {"chandlery.io/x": "y"}}})
    assert told(sent) == {}
    unit: Any = SimpleNamespace(breaths=Breaths())
    admitted = await ADMISSION.admit_update(unit, old, sent, user=UserInfo(), readable=frozenset())
    assert admitted.document.metadata.annotations == {"chandlery.io/x": "y"}
    assert not admitted.actions_changed
    assert admitted.warnings == ()


def test_actions_are_part_of_what_is_checked_on_create_and_update() -> None:
    new = annotated("ServiceInstance", {"chandlery.io/abandon": "maybe"})
    field = "metadata.annotations[chandlery.io/abandon]"
    assert [problem.field for problem in ADMISSION.problems_on_create(new)] == [field]
    assert [problem.field for problem in ADMISSION.problems_on_update(annotated(new.kind, None), new)] == [field]


def test_what_older_rules_let_in_keeps_nobody_from_requesting_an_action() -> None:
    old = annotated("ClusterServiceBroker", {"chandlery.io/old": "x"}, requestTimeout="never")
    new = annotated("ClusterServiceBroker", {"chandlery.io/old": "x", "chandlery.io/force-delete": "true"})
    new = new.model_copy(update={"spec": old.model_copy().spec})  # type: ignore[union-attr]
    assert ADMISSION.problems_on_update(old, new) == ()
    changed = annotated("ClusterServiceBroker", {"chandlery.io/old": "y"}, requestTimeout="forever")
    assert [problem.field for problem in ADMISSION.problems_on_update(old, changed)] == [
        "metadata.annotations[chandlery.io/old]",
        "spec.requestTimeout",
    ]
    assert ADMISSION.problems_on_update(old, annotated("ClusterServiceBroker", None)) == ()


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, {"chandlery.io/abandon": "true"}, True),
        ({"chandlery.io/abandon": "true"}, None, True),
        ({"chandlery.io/abandon": "true"}, {"chandlery.io/abandon": "false"}, True),
        ({"chandlery.io/abandon": "true"}, {"chandlery.io/abandon": "true", "a": "b"}, False),
        ({"a": "b"}, {"a": "c"}, False),
        (None, {}, False),
    ],
)
@pytest.mark.parametrize("kind", MODELS)
def test_an_action_is_new_when_it_differs(
    kind: str, before: dict[str, str] | None, after: dict[str, str] | None, changed: bool
) -> None:
    assert actions_changed(annotated(kind, before), annotated(kind, after)) is changed


def test_an_action_alone_asks_for_no_other_state() -> None:
    """Who is told to the broker is for the transaction to stamp; the generation stays."""
    old = annotated("ServiceInstance", None)
    new = ADMISSION.default_on_update(
        old, annotated("ServiceInstance", {"chandlery.io/abandon": "true"}), user=UserInfo(username="bob")
    )
    assert getattr(new, "spec", None) == getattr(old, "spec", None)
