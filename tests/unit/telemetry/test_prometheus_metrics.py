"""What whoever scrapes a process is told, and how much of it there can be."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from chandlery.telemetry.metric import Counter, Gauge, Histogram
from chandlery.telemetry.metrics import NullMetrics, Sample
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics

_CALLS = Counter(name="calls_total", labels=("broker", "code"), meaning="Calls.", question="How many?")
_SECONDS = Histogram(name="call_seconds", labels=("broker",), meaning="Time.", question="How long?")
_WAITING = Gauge(name="waiting", labels=("broker",), meaning="Waiting.", question="How many wait?")


def test_what_was_counted_is_told() -> None:
    metrics = PrometheusMetrics()

    metrics.count(_CALLS, "harbour", "2xx")
    metrics.count(_CALLS, "harbour", "2xx", by=2)
    metrics.set(_WAITING, "harbour", value=4)

    assert _told(metrics)["calls_total", "harbour", "2xx"] == 3
    assert _told(metrics)["waiting", "harbour"] == 4


def test_a_process_tells_of_its_memory_and_its_open_files() -> None:
    told = _told(PrometheusMetrics())

    assert told["process_resident_memory_bytes",] > 1_000_000
    assert told["process_open_fds",] > 0


def test_an_observation_carries_its_trace_as_an_exemplar_in_openmetrics() -> None:
    metrics = PrometheusMetrics()
    metrics.observe(_SECONDS, "harbour", value=0.02, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")

    body, media_type = metrics.render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert media_type.startswith("application/openmetrics-text")
    exemplars = [
        sample.exemplar.labels
        for family in openmetrics(body.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name == "call_seconds_bucket" and sample.exemplar
    ]
    assert exemplars == [{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}]


def test_a_label_that_grows_without_end_is_bounded() -> None:
    metrics = PrometheusMetrics(most_values=3)

    for number in range(10):
        metrics.count(_CALLS, f"broker-{number}", "2xx")

    told = {key[1]: value for key, value in _told(metrics).items() if key[0] == "calls_total"}
    assert told == {"broker-0": 1, "broker-1": 1, "broker-2": 1, "other": 7}


def test_what_is_looked_up_at_each_scrape_is_bounded_too() -> None:
    metrics = PrometheusMetrics(most_values=2)
    metrics.collect(_WAITING, lambda: [Sample((f"broker-{number}",), 1) for number in range(5)])

    told = {key[1]: value for key, value in _told(metrics).items() if key[0] == "waiting"}
    assert told == {"broker-0": 1, "broker-1": 1, "other": 3}


def test_labels_that_multiply_are_bounded_by_the_one_with_the_most_values() -> None:
    metrics = PrometheusMetrics(most_series=4)

    for broker in ("harbour", "quay", "pier"):
        for code in ("2xx", "5xx"):
            metrics.count(_CALLS, broker, code)

    told = {key[1:]: value for key, value in _told(metrics).items() if key[0] == "calls_total"}
    assert told == {
        ("harbour", "2xx"): 1,
        ("harbour", "5xx"): 1,
        ("quay", "2xx"): 1,
        ("quay", "5xx"): 1,
        ("other", "2xx"): 1,
        ("other", "5xx"): 1,
    }


def test_a_lookup_that_fails_takes_nothing_else_from_the_page() -> None:
    metrics = PrometheusMetrics()
    metrics.collect(_WAITING, lambda: [Sample(("quay",), 1 / len(""))])
    metrics.collect(_WAITING, lambda: [Sample(("harbour",), 2)])

    assert {key: value for key, value in _told(metrics).items() if key[0] == "waiting"} == {("waiting", "harbour"): 2}


def test_no_series_tells_when_another_was_made() -> None:
    metrics = PrometheusMetrics()
    metrics.count(_CALLS, "harbour", "2xx")

    assert "_created" not in metrics.render()[0].decode() + metrics.render("application/openmetrics-text")[0].decode()


def test_a_broker_that_has_gone_is_told_of_no_more_and_leaves_room() -> None:
    metrics = PrometheusMetrics(most_values=1)
    metrics.count(_CALLS, "harbour", "2xx")
    metrics.observe(_SECONDS, "harbour", value=1)

    metrics.forget("broker", "harbour")
    metrics.count(_CALLS, "quay", "2xx")

    told = _told(metrics)
    assert told["calls_total", "quay", "2xx"] == 1
    assert not [key for key in told if "harbour" in key]


def test_a_gauge_that_is_replaced_forgets_what_is_not_told_again() -> None:
    metrics = PrometheusMetrics()
    metrics.replace(_WAITING, [Sample(("harbour",), 1), Sample(("quay",), 2)])
    metrics.replace(_WAITING, [Sample(("quay",), 3)])

    assert {key: value for key, value in _told(metrics).items() if key[0] == "waiting"} == {("waiting", "quay"): 3}


def test_the_null_twin_takes_all_that_the_other_takes() -> None:
    for metrics in (PrometheusMetrics(), NullMetrics()):
        metrics.count(_CALLS, "harbour", "2xx")
        metrics.observe(_SECONDS, "harbour", value=1)
        metrics.set(_WAITING, "harbour", value=1)
        metrics.replace(Gauge(name="other", meaning="Other.", question="?"), [Sample((), 1)])
        metrics.collect(Gauge(name="more", meaning="More.", question="?"), list)
        metrics.forget("broker", "harbour")


def _told(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    body, _ = metrics.render()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(body.decode())
        for sample in family.samples
    }


def test_of_what_is_looked_up_the_label_that_grows_is_bounded_and_the_others_stay() -> None:
    metrics = PrometheusMetrics(most_values=2)
    age = Gauge(name="age", labels=("broker", "kind"), meaning="Age.", question="How old?", fold="max")
    metrics.collect(age, lambda: [Sample((f"broker-{number}", "Instance"), number) for number in range(5)])

    told = {key[1:]: value for key, value in _told(metrics).items() if key[0] == "age"}
    assert told == {("broker-0", "Instance"): 0, ("broker-1", "Instance"): 1, ("other", "Instance"): 4}


def test_a_value_that_is_no_utf8_takes_nothing_from_the_page() -> None:
    metrics = PrometheusMetrics()
    folder = b"/caf\xe9".decode("utf-8", "surrogateescape")
    metrics.count(_CALLS, folder, "200")
    metrics.collect(_WAITING, lambda: [Sample((folder,), 2), Sample(("/caf\u00e9",), 3)])
    told = {
        sample.labels.get("broker"): sample.value
        for each in families(metrics.render()[0].decode())
        for sample in each.samples
    }
    assert told.keys() >= {r"/caf\udce9", "/caf\u00e9"}
