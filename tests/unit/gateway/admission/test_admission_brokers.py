import json
from datetime import timedelta

import pytest

from chandlery.model.faults import Invalid
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER
from chandlery.model.text.durations import parse_duration
from chandlery.model.text.names import FINALIZER
from chandlery_gateway.admission.brokers.broker_admission import BrokerRules
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.kube.body.decoding import FieldValidation, decode_object

ADMISSION = ObjectAdmission()
RULES = BrokerRules()

USER = UserInfo(username="ann")


def broker(**spec: object) -> ClusterServiceBroker:
    return ClusterServiceBroker.model_validate({"metadata": {"name": "b"}, "spec": {"url": "http://broker", **spec}})


def problems(made: ClusterServiceBroker | ServiceBroker) -> list[tuple[str, str]]:
    return [(problem.field, problem.reason) for problem in ADMISSION.problems_on_create(made)]


def test_broker_gets_finalizer_and_relist_behavior_and_loses_status_when_created() -> None:
    sent = broker(relistBehavior="").model_copy(
        update={"metadata": broker().metadata.model_copy(update={"finalizers": ["mine"]})}
    )
    sent = sent.model_copy(update={"status": sent.status.model_copy(update={"reconciled_generation": 7})})
    stored = ADMISSION.default_on_create(sent, USER, new_id=lambda: "id")
    assert isinstance(stored, ClusterServiceBroker)
    assert stored.metadata.finalizers == [FINALIZER]
    assert stored.spec.relist_behavior == "Duration"
    assert stored.status.reconciled_generation == 0
    assert ADMISSION.problems_on_create(stored) == ()


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.231:5000", "https://broker.example.com/base/", "http://[fd00::1]:80", "HTTP://Broker"],
)
def test_broker_url_is_accepted(url: str) -> None:
    assert problems(broker(url=url)) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "FieldValueRequired"),
        ("broker:5000", "FieldValueInvalid"),
        ("ftp://broker", "FieldValueInvalid"),
        ("http://", "FieldValueInvalid"),
        ("http://broker:99999", "FieldValueInvalid"),
        ("http://[broker", "FieldValueInvalid"),
        ("http://bro ker", "FieldValueInvalid"),
        ("http://ann:hunter2@broker", "FieldValueInvalid"),
        ("http://broker?x=1", "FieldValueInvalid"),
    ],
)
def test_broker_url_is_refused(url: str, reason: str) -> None:
    made = broker(url=url)
    assert problems(made) == [("spec.url", reason)]
    assert "hunter2" not in str(ADMISSION.problems_on_create(made))


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"insecureSkipTLSVerify": True, "caBundle": "YQ=="}, [("spec.caBundle", "FieldValueInvalid")]),
        ({"insecureSkipTLSVerify": False, "caBundle": "YQ=="}, []),
        ({"caBundle": "no base64!"}, [("spec.caBundle", "FieldValueInvalid")]),
        ({"caBundle": "YWFh" * 131_073}, [("spec.caBundle", "FieldValueTooLong")]),
        ({"relistRequests": -1}, [("spec.relistRequests", "FieldValueInvalid")]),
        ({"relistDuration": "15m"}, []),
        ({"relistDuration": "0s"}, [("spec.relistDuration", "FieldValueInvalid")]),
        ({"relistDuration": "-1h"}, [("spec.relistDuration", "FieldValueInvalid")]),
        ({"relistDuration": "15 minutes"}, [("spec.relistDuration", "FieldValueInvalid")]),
        ({"authInfo": {}}, [("spec.authInfo", "FieldValueRequired")]),
        ({"authInfo": {"basic": {}}}, [("spec.authInfo.basic.secretRef", "FieldValueRequired")]),
        (
            {"authInfo": {"bearer": {"secretRef": {"name": "A", "namespace": ""}}}},
            [
                ("spec.authInfo.bearer.secretRef.name", "FieldValueInvalid"),
                ("spec.authInfo.bearer.secretRef.namespace", "FieldValueRequired"),
            ],
        ),
        ({"authInfo": {"basic": {"secretRef": {"name": "s", "namespace": "n"}}}}, []),
        ({"catalogRestrictions": {"serviceClass": ["name  in (a)"], "servicePlan": ["spec.free=true,name!=x"]}}, []),
        ({"catalogRestrictions": {"servicePlan": ["spec.clusterServiceClass.name=x"]}}, []),
        (
            {"catalogRestrictions": {"serviceClass": ["name=a", "spec.free=true"], "servicePlan": ["name in ("]}},
            [
                ("spec.catalogRestrictions.serviceClass[1]", "FieldValueInvalid"),
                ("spec.catalogRestrictions.servicePlan[0]", "FieldValueInvalid"),
            ],
        ),
    ],
)
def test_cluster_broker_rules(spec: dict[str, object], found: list[tuple[str, str]]) -> None:
    assert problems(broker(**spec)) == found


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"requestTimeout": "30s"}, {}),
        ({"requestTimeout": "10m"}, {}),
        ({"requestTimeout": "10m1s"}, {"spec.requestTimeout": "at most 10m"}),
        ({"requestTimeout": "0s"}, {"spec.requestTimeout": "greater than zero"}),
        ({"requestTimeout": "-1s"}, {"spec.requestTimeout": "greater than zero"}),
        ({"requestTimeout": "30"}, {"spec.requestTimeout": "must be a duration"}),
        ({"requestTimeout": ""}, {"spec.requestTimeout": "must be a duration"}),
        ({"maxConcurrentRequests": 1, "rateLimit": {"requestsPerSecond": 0.2, "burst": 3}, "circuitBreaker": {}}, {}),
        ({"circuitBreaker": {"consecutiveFailures": 0, "openDuration": "1h"}}, {}),
        ({"maxConcurrentRequests": 0}, {"spec.maxConcurrentRequests": "from 1"}),
        ({"rateLimit": {}}, {"spec.rateLimit.requestsPerSecond": "leave rateLimit out"}),
        ({"rateLimit": {"requestsPerSecond": float("nan")}}, {"spec.rateLimit.requestsPerSecond": "from 0.001"}),
        ({"rateLimit": {"requestsPerSecond": 5, "burst": 0}}, {"spec.rateLimit.burst": "from 1"}),
        (
            {"circuitBreaker": {"consecutiveFailures": -1}},
            {"spec.circuitBreaker.consecutiveFailures": "0 to never pause"},
        ),
        ({"circuitBreaker": {"openDuration": "61m"}}, {"spec.circuitBreaker.openDuration": "at most 60m"}),
        ({"retryPolicy": {}}, {}),
        ({"retryPolicy": {"initialDelay": "1s", "factor": 1, "maximumDelay": "1s", "giveUpAfter": "168h"}}, {}),
        ({"retryPolicy": {"initialDelay": "soon"}}, {"spec.retryPolicy.initialDelay": "must be a duration"}),
        ({"retryPolicy": {"maximumDelay": "0"}}, {"spec.retryPolicy.maximumDelay": "greater than zero"}),
        ({"retryPolicy": {"giveUpAfter": "-1h"}}, {"spec.retryPolicy.giveUpAfter": "greater than zero"}),
        ({"retryPolicy": {"factor": 0.99}}, {"spec.retryPolicy.factor": "from 1"}),
        ({"retryPolicy": {"factor": 1e300}}, {"spec.retryPolicy.factor": "to 100"}),
        ({"retryPolicy": {"factor": float("nan")}}, {"spec.retryPolicy.factor": "from 1"}),
        (
            {"retryPolicy": {"initialDelay": "2s", "maximumDelay": "1s"}},
            {"spec.retryPolicy.maximumDelay": "shorter than initialDelay, which is 2s"},
        ),
        ({"retryPolicy": {"initialDelay": "21m"}}, {"spec.retryPolicy.maximumDelay": "the default is 20m"}),
        ({"retryPolicy": {"maximumDelay": "500ms"}}, {}),
        ({"pollPolicy": {"initialInterval": "1m", "maximumInterval": "1h"}}, {}),
        ({"pollPolicy": {"initialInterval": "1us"}}, {}),
        ({"pollPolicy": {"initialInterval": "1ns"}}, {"spec.pollPolicy.initialInterval": "greater than zero"}),
        ({"pollPolicy": {"maximumInterval": "1d"}}, {"spec.pollPolicy.maximumInterval": "must be a duration"}),
        (
            {"pollPolicy": {"initialInterval": "2s", "maximumInterval": "1s"}},
            {"spec.pollPolicy.maximumInterval": "shorter than initialInterval"},
        ),
        ({"pollPolicy": {"initialInterval": "11s"}}, {"spec.pollPolicy.maximumInterval": "the default is 10s"}),
        ({"contextAnnotations": []}, {}),
        ({"contextAnnotations": ["acme.com/", "acme.com/cost-", "a/b"]}, {}),
        ({"contextAnnotations": ["acme.com"]}, {"spec.contextAnnotations[0]": "acme.com/ or"}),
        ({"contextAnnotations": ["acme.com/", ""]}, {"spec.contextAnnotations[1]": "acme.com/ or"}),
        ({"contextAnnotations": ["/x"]}, {"spec.contextAnnotations[0]": "acme.com/ or"}),
        ({"contextAnnotations": ["Acme.com/x"]}, {"spec.contextAnnotations[0]": "acme.com/ or"}),
        ({"contextAnnotations": ["acme.com/x y"]}, {"spec.contextAnnotations[0]": "acme.com/ or"}),
        ({"contextAnnotations": ["acme.com/x/"]}, {"spec.contextAnnotations[0]": "acme.com/ or"}),
        ({"contextAnnotations": ["a/", "b/", "a/"]}, {"spec.contextAnnotations[2]": "remove one"}),
        ({"contextAnnotations": ["kubectl.kubernetes.io/"]}, {"spec.contextAnnotations[0]": "whole manifests"}),
        ({"contextAnnotations": ["chandlery.io/retry"]}, {"spec.contextAnnotations[0]": "request actions"}),
    ],
)
@pytest.mark.parametrize("kind", [ClusterServiceBroker, ServiceBroker])
def test_broker_policies_are_checked_with_the_way_out(
    kind: type[ClusterServiceBroker | ServiceBroker], spec: dict[str, object], found: dict[str, str]
) -> None:
    made = kind.model_validate({"metadata": {"name": "b"}, "spec": {"url": "http://broker", **spec}})
    told = {problem.field: problem.message for problem in ADMISSION.problems_on_create(made)}
    assert told.keys() == found.keys()
    for field, words in found.items():
        assert words in told[field]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("osbAPIVersion", "2.18", "'2.16' or '2.17', not '2.18'"),
        ("orphanMitigation", "Never", "'Automatic' or 'Manual'"),
    ],
)
def test_broker_words_that_are_none_of_several_are_refused_when_decoded(field: str, value: str, words: str) -> None:
    body = json.dumps({"metadata": {"name": "b"}, "spec": {"url": "http://broker", field: value}}).encode()
    with pytest.raises(Invalid) as refused:
        decode_object(CLUSTER_SERVICE_BROKER, body, "", field_validation=FieldValidation.STRICT)
    (problem,) = refused.value.problems
    assert (problem.field, problem.reason) == (f"spec.{field}", "FieldValueNotSupported")
    assert words in problem.message


def test_broker_with_two_ways_to_log_in_is_stored_with_a_warning() -> None:
    way = {"secretRef": {"name": "s", "namespace": "n"}}
    one, both = broker(authInfo={"basic": way}), broker(authInfo={"basic": way, "bearer": way})
    assert problems(both) == []
    assert RULES.new_warnings(one) == ()
    (warning,) = RULES.new_warnings(both)
    assert "basic is used" in warning
    assert RULES.changed_warnings(one, both) == (warning,)
    assert RULES.changed_warnings(both, both) == ()
    assert RULES.changed_warnings(both, one) == ()


def test_namespaced_broker_names_a_local_secret_and_other_properties() -> None:
    spec = {
        "url": "http://broker",
        "authInfo": {"basic": {"secretRef": {"name": "s"}}},
        "catalogRestrictions": {"servicePlan": ["spec.serviceClass.name=x", "spec.clusterServiceClass.name=x"]},
    }
    local = ServiceBroker.model_validate({"metadata": {"name": "b"}, "spec": spec})
    assert problems(local) == [("spec.catalogRestrictions.servicePlan[1]", "FieldValueInvalid")]


@pytest.mark.parametrize(("sent", "stored", "refused"), [(0, 3, False), (3, 3, False), (4, 4, False), (2, 2, True)])
def test_relist_requests_only_go_up(sent: int, stored: int, refused: bool) -> None:
    old = broker(relistRequests=3)
    new = ADMISSION.default_on_update(old, broker(relistRequests=sent), user=USER)
    assert isinstance(new, ClusterServiceBroker)
    assert new.spec.relist_requests == stored
    assert bool(ADMISSION.problems_on_update(old, new)) is refused


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5s", timedelta(seconds=1.5)),
        (".5h", timedelta(minutes=30)),
        ("1h1h", timedelta(hours=2)),
        ("-2m", timedelta(minutes=-2)),
        ("+2m", timedelta(minutes=2)),
        ("0", timedelta()),
        ("1500ns", timedelta(microseconds=1)),
        ("3µs", timedelta(microseconds=3)),
        ("2540400h10m10.000000000s", timedelta(hours=2540400, minutes=10, seconds=10)),
    ],
)
def test_duration_is_read_as_go_does(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "3", "m", "1d", "1h ", "1,5h", "--1h", ".s", "1H", "1e3s", "9" * 70 + "s", "3000000h"]
)
def test_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a"):
        parse_duration(text)
