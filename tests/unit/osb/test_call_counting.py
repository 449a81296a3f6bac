"""What is told of calls to service brokers while they are under way."""

from chandlery.osb.call_counting import CallCounting
from chandlery.reconcile.answers import Verb
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.support.measured.metrics_page import told

UNDER_WAY, OLDEST = "chandlery_broker_calls_under_way", "chandlery_broker_calls_oldest_seconds"


def seen(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    body, _ = metrics.render()
    return told(body.decode())


def test_oldest_call_is_told_for_as_long_as_it_is_under_way() -> None:
    metrics = PrometheusMetrics()
    counting = CallCounting(metrics)
    with counting.counted("hangs", Verb.BIND):
        first = seen(metrics)[OLDEST, "hangs"]
        with counting.counted("hangs", Verb.PROVISION), counting.counted("quick", Verb.BIND):
            both = seen(metrics)
        one = seen(metrics)
    none = seen(metrics)
    assert 0 <= first < both[OLDEST, "hangs"] < one[OLDEST, "hangs"]
    assert both[UNDER_WAY, "hangs"] == 2
    assert (OLDEST, "quick") in both and (OLDEST, "quick") not in one
    assert (OLDEST, "hangs") not in none
    assert none[UNDER_WAY, "hangs"] == none[UNDER_WAY, "quick"] == 0
