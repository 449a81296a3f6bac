"""What debug tells of a round: the call that it has decided on, and why and when the object comes back."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from chandlery.engine.rounds import round_log
from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.reconcile.reconcile_result import ReconcileResult, Requeue

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
BROKER = ClusterServiceBroker.model_validate(
    {
        "metadata": {"name": "harbour", "uid": "u-1", "generation": 3},
        "spec": {"url": "http://harbour"},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "ErrorFetchingCatalog"}]},
    }
)
CLAIM: Any = SimpleNamespace(kind="ClusterServiceBroker", uid="u-1", lane="broker:/harbour", attempt=1)


@dataclass
class FetchCatalog:
    """A call that holds something."""

    secret: str = "hunter2"


def test_call_is_told_by_what_it_is_for_and_without_what_it_holds() -> None:
    decided: Any = SimpleNamespace(
        claim=CLAIM,
        document=BROKER,
        planned=SimpleNamespace(call=FetchCatalog(), action="fetch catalog"),
        to=SimpleNamespace(lane="broker:/harbour"),
    )
    with capture_logs() as logged:
        assert round_log.is_wanted()
        round_log.say_decided(decided)
    (line,) = logged
    said = "ClusterServiceBroker harbour: fetch catalog at service broker harbour is due for generation 3"
    assert line["event"] == said
    assert (line["action"], line["operation"], line["attempt"], line["uid"]) == (
        "decide_round",
        "fetch catalog",
        2,
        "u-1",
    )
    assert "hunter2" not in str(line)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"next": Requeue()}, "nothing is due until it changes"),
        ({"next": Requeue(waiting_for="offering:/db")}, "nothing is due until offering:/db changes"),
        ({"next": Requeue(due_at=AT)}, "the next look is at 2030-01-01T12:00:00Z"),
        (
            {"next": Requeue(due_at=AT, waiting_for="circuit:harbour")},
            "the next look is at 2030-01-01T12:00:00Z, or when circuit:harbour changes",
        ),
        ({"is_finished": True}, "all is cleaned up, and the finalizer is removed"),
    ],
    ids=["idle", "waiting", "due", "due or woken", "finished"],
)
def test_end_of_a_round_tells_what_brings_the_object_back(change: dict[str, Any], words: str) -> None:
    result = replace(ReconcileResult(document=BROKER, next=Requeue()), **change)
    with capture_logs() as logged:
        round_log.say_written(CLAIM, BROKER, result)
    (line,) = logged
    assert line["event"] == f"ClusterServiceBroker harbour: {words}"
    assert (line["action"], line["condition_reason"]) == ("end_round", "ErrorFetchingCatalog")
