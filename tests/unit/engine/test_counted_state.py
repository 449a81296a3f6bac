"""What of an object is counted: its Ready, whether that is of what is desired, and when its credentials end."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.engine.rounds.counted_state import CountedState, counted_state
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingStatus
from chandlery.model.objects.brokers import BrokerStatus, ClusterServiceBroker
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import BindingReason

NOON = datetime(2026, 12, 2, 12, tzinfo=UTC)
THIRD = ObjectMeta(name="one", generation=3)
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def _ready(status: ConditionStatus) -> Condition:
    return Condition(type=ConditionType.READY, status=status, reason="Because")


def _instance(status: ConditionStatus, *, reconciled: int) -> ServiceInstance:
    conditions = (_ready(status),)
    return ServiceInstance(
        metadata=THIRD, status=ServiceInstanceStatus(conditions=conditions, reconciled_generation=reconciled)
    )


@pytest.mark.parametrize(
    ("document", "ready", "is_reached"),
    [
        pytest.param(ServiceInstance(metadata=THIRD), None, False, id="nothing is known yet"),
        pytest.param(_instance(TRUE, reconciled=3), "True", True, id="ready as desired"),
        pytest.param(_instance(TRUE, reconciled=2), "True", False, id="ready as it was desired earlier"),
        pytest.param(_instance(FALSE, reconciled=3), "False", False, id="no longer ready"),
        pytest.param(
            ClusterServiceBroker(
                metadata=THIRD, status=BrokerStatus(conditions=(_ready(TRUE),), reconciled_generation=3)
            ),
            "True",
            True,
            id="a broker with its catalog",
        ),
        pytest.param(Namespace(metadata=ObjectMeta(name="ns")), None, False, id="a kind without Ready"),
    ],
)
def test_a_state_is_reached_when_ready_speaks_of_the_newest_generation(
    document: Any, ready: str | None, is_reached: bool
) -> None:
    assert counted_state(document) == CountedState(ready, None, is_reached)


@pytest.mark.parametrize(
    ("reason", "metadata", "expected"),
    [
        pytest.param(None, ObjectMeta(name="one"), NOON, id="nothing is done about it"),
        pytest.param(BindingReason.ROTATION_FAILED, ObjectMeta(name="one"), NOON, id="rotation has failed"),
        pytest.param(BindingReason.ROTATING, ObjectMeta(name="one"), None, id="others are on their way"),
        pytest.param(None, ObjectMeta(name="one", deletion_timestamp=NOON), None, id="it is to go anyway"),
    ],
)
def test_credentials_expire_unless_something_is_done(
    reason: str | None, metadata: ObjectMeta, expected: datetime | None
) -> None:
    told = () if reason is None else (Condition(type=ConditionType.RECONCILING, status=TRUE, reason=reason),)
    binding = ServiceBinding(metadata=metadata, status=ServiceBindingStatus(conditions=told, expires_at=NOON))

    assert counted_state(binding).expires_at == expected
