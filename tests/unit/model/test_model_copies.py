"""Copies of models are those that pydantic makes, whichever way is taken."""

import pytest
from pydantic import BaseModel

from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import WireModel

SEALED = Secret(metadata=ObjectMeta(name="a"), data={"key": "dmFsdWU="}).sealed_as("sealed text")


@pytest.mark.parametrize(
    ("model", "update"),
    [
        (ServiceInstanceStatus(), {"attempts": 2}),
        (ServiceInstanceStatus(attempts=1), {"attempts": 2}),
        (ServiceInstanceStatus(attempts=1), {}),
        (ServiceInstance(metadata=ObjectMeta(name="a")), {"metadata": ObjectMeta(name="b")}),
        (SEALED, {"metadata": ObjectMeta(name="b")}),
    ],
)
def test_a_copy_is_the_one_that_pydantic_makes(model: WireModel, update: dict[str, object]) -> None:
    expected = BaseModel.model_copy(model, update=update)
    copied = model.model_copy(update=update)
    assert copied == expected
    assert copied.model_fields_set == expected.model_fields_set
    assert copied.model_dump(exclude_unset=True) == expected.model_dump(exclude_unset=True)


def test_a_copy_leaves_what_it_was_made_from_as_it_was() -> None:
    before = ServiceInstanceStatus()
    after = before.model_copy(update={"attempts": 2})
    assert (before.attempts, before.model_fields_set) == (None, set())
    assert (after.attempts, after.model_fields_set) == (2, {"attempts"})


def test_a_copy_of_a_sealed_secret_is_sealed() -> None:
    assert SEALED.model_copy(update={"metadata": ObjectMeta(name="b")}).sealed == "sealed text"


def test_a_deep_copy_shares_nothing() -> None:
    before = ObjectMeta(name="a", labels={"of": "a"})
    assert before.model_copy(deep=True).labels is not before.labels
