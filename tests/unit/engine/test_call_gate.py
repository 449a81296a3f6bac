"""A place in the line before a service broker with a rate limit is kept until a call has been made."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from chandlery.engine.circuits.call_gate import with_kept_turn
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.reconcile_result import ReconcileResult, Requeue
from chandlery.store.work.work_claims import Claim

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
TURN: Final = NOW + timedelta(seconds=5)
LATER: Final = NOW + timedelta(seconds=60)


def claimed(turn_at: datetime | None) -> Claim:
    return Claim(
        uid="uid-1",
        kind="ServiceInstance",
        lane="broker:/b",
        attempt=0,
        revision=0,
        fence=1,
        owner="test",
        sealed=None,
        memory={},
        turn_at=turn_at,
    )


@pytest.mark.parametrize(
    ("turn_at", "requeue", "kept"),
    [
        pytest.param(TURN, Requeue(due_at=NOW), TURN, id="goes on at once"),
        pytest.param(TURN, Requeue(due_at=LATER), None, id="comes back later"),
        pytest.param(TURN, Requeue(), None, id="has nothing left to do"),
        pytest.param(TURN, Requeue(due_at=NOW, turn_at=LATER), LATER, id="has taken another place"),
        pytest.param(None, Requeue(due_at=NOW), None, id="had none"),
    ],
)
def test_round_that_calls_nobody_and_goes_on_keeps_its_place(
    turn_at: datetime | None, requeue: Requeue, kept: datetime | None
) -> None:
    document = ServiceInstance(metadata=ObjectMeta(name="db"), spec=ServiceInstanceSpec())
    change = ReconcileResult(document=document, next=requeue)
    assert with_kept_turn(change, claimed(turn_at), now=NOW).next.turn_at == kept
