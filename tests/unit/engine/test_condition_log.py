"""What the log tells of conditions: each one that came, changed or went; of words that changed alone nothing."""

from structlog.testing import capture_logs

from chandlery.engine.condition_log import say_conditions
from chandlery.model.objects.brokers import ClusterServiceBroker


def _broker(*conditions: tuple[str, str, str, str]) -> ClusterServiceBroker:
    names = ("type", "status", "reason", "message")
    return ClusterServiceBroker.model_validate(
        {
            "apiVersion": "servicecatalog.k8s.io/v1beta1",
            "kind": "ClusterServiceBroker",
            "metadata": {"name": "harbour", "uid": "u-1"},
            "spec": {"url": "http://harbour"},
            "status": {"conditions": [dict(zip(names, each, strict=True)) for each in conditions]},
        }
    )


def _told(before: ClusterServiceBroker, after: ClusterServiceBroker) -> list[str]:
    with capture_logs() as logs:
        say_conditions(before, after)
    assert {(line["action"], line["uid"]) for line in logs} <= {("change_condition", "u-1")}
    return [line["event"] for line in logs]


def test_a_condition_that_comes_changes_or_goes_is_told_once() -> None:
    open_circuit = ("CircuitOpen", "True", "BrokerFailing", "It fails")
    failing = _broker(open_circuit, ("Ready", "False", "ErrorFetchingCatalog", "No answer"))
    assert _told(_broker(), failing) == [
        "ClusterServiceBroker harbour: CircuitOpen is True, BrokerFailing",
        "ClusterServiceBroker harbour: Ready is False, ErrorFetchingCatalog",
    ]
    assert _told(failing, _broker(("Ready", "True", "FetchedCatalog", "Fetched"))) == [
        "ClusterServiceBroker harbour: Ready is True, FetchedCatalog",
        "ClusterServiceBroker harbour: CircuitOpen is gone",
    ]


def test_other_words_alone_are_not_told() -> None:
    before = _broker(("Ready", "False", "ErrorFetchingCatalog", "No answer"))
    assert _told(before, _broker(("Ready", "False", "ErrorFetchingCatalog", "Still none"))) == []
