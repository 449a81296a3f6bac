"""Where a broker may be and how it is authenticated at, as far as its specification tells."""

from typing import Any

import pytest

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Namespace
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import parse_rules
from chandlery_gateway.admission.brokers.broker_address_admission import BrokerPlaces
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission

DENYING = EgressPolicy().narrowed(deny=parse_rules("10.0.0.0/8, *.internal"))
CLOSED = EgressPolicy(may_send_plain_credentials=False, may_skip_verification=False)
BASIC = {"basic": {"secretRef": {"namespace": "n", "name": "s"}}}
HERE = {"namespace": "n", "name": "s"}
TOKENS = {"tokenURL": "https://login.example.com/token", "secretRef": HERE}


def cluster(**spec: Any) -> ClusterServiceBroker:
    document = {"metadata": {"name": "b"}, "spec": {"url": "https://broker.example.com", **spec}}
    return ClusterServiceBroker.model_validate(document)


def of_namespace(**spec: Any) -> ServiceBroker:
    document = {"metadata": {"name": "b", "namespace": "n"}, "spec": {"url": "https://broker.example.com", **spec}}
    return ServiceBroker.model_validate(document)


def shown(problems: Any) -> list[tuple[str, str]]:
    return [(problem.field, problem.reason) for problem in problems]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5000",
        "http://localhost",
        "http://[::1]",
        "http://169.254.169.254",
        "http://0.0.0.0",
        "http://metadata.google.internal",
    ],
)
def test_place_where_no_broker_is_called_is_refused_at_once(url: str) -> None:
    (problem,) = ObjectAdmission().problems_on_create(cluster(url=url))
    assert (problem.field, problem.reason) == ("spec.url", "FieldValueForbidden")
    assert "ask whoever runs the platform to allow it" in problem.message


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]", "10.0.0.1.", "0"])
def test_odd_spelling_of_an_address_is_refused(host: str) -> None:
    assert shown(ObjectAdmission().problems_on_create(cluster(url=f"http://{host}"))) == [
        ("spec.url", "FieldValueInvalid")
    ]


def test_lists_for_tenants_hold_for_brokers_of_namespaces_alone() -> None:
    admission = ObjectAdmission(places=BrokerPlaces(tenants=DENYING))
    for url in ("http://10.0.0.1", "http://wiki.internal"):
        assert shown(admission.problems_on_create(cluster(url=url))) == []
        assert shown(admission.problems_on_create(of_namespace(url=url))) == [("spec.url", "FieldValueForbidden")]


def test_change_is_judged_by_what_it_changes() -> None:
    # Stored before the operator denied it: everything else of it can still be changed.
    admission = ObjectAdmission(places=BrokerPlaces(cluster=DENYING))
    old = cluster(url="http://10.0.0.1")
    assert shown(admission.problems_on_update(old, cluster(url="http://10.0.0.1", relistBehavior="Manual"))) == []
    assert shown(admission.problems_on_update(old, cluster(url="http://10.0.0.2"))) == [
        ("spec.url", "FieldValueForbidden")
    ]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"url": "http://broker"}, []),
        ({"url": "http://broker", "authInfo": BASIC}, ["spec.url"]),
        ({"authInfo": BASIC}, []),
        ({"authInfo": {"oauth2": {**TOKENS, "tokenURL": "http://login/token"}}}, ["spec.authInfo.oauth2.tokenURL"]),
        ({"insecureSkipTLSVerify": True}, ["spec.insecureSkipTLSVerify"]),
        ({"insecureSkipTLSVerify": False}, []),
    ],
)
def test_plain_credentials_and_skipped_verification_can_be_forbidden(spec: dict[str, Any], found: list[str]) -> None:
    strict = ObjectAdmission(places=BrokerPlaces(cluster=CLOSED))
    assert shown(strict.problems_on_create(cluster(**spec))) == [(field, "FieldValueForbidden") for field in found]
    assert shown(ObjectAdmission().problems_on_create(cluster(**spec))) == []


@pytest.mark.parametrize(
    ("auth", "found"),
    [
        ({"oauth2": TOKENS}, {}),
        ({"clientCertificate": {"secretRef": HERE}}, {}),
        ({"oauth2": TOKENS, "clientCertificate": {"secretRef": HERE}}, {}),
        ({**BASIC, "clientCertificate": {"secretRef": HERE}}, {}),
        ({"oauth2": {**TOKENS, "scopes": ["a", "b:c/d"], "audience": "x", "clientAuthentication": "Post"}}, {}),
        ({"oauth2": TOKENS, **BASIC}, {"oauth2": "FieldValueForbidden"}),
        ({"oauth2": {}}, {"oauth2.secretRef": "FieldValueRequired", "oauth2.tokenURL": "FieldValueRequired"}),
        ({"clientCertificate": {}}, {"clientCertificate.secretRef": "FieldValueRequired"}),
        ({"oauth2": {**TOKENS, "tokenURL": "ftp://x"}}, {"oauth2.tokenURL": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "tokenURL": "https://u:hunter2@x"}}, {"oauth2.tokenURL": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "tokenURL": "https://x?a=b"}}, {"oauth2.tokenURL": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "tokenURL": "https://0x7f.1"}}, {"oauth2.tokenURL": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "tokenURL": "https://169.254.169.254"}}, {"oauth2.tokenURL": "FieldValueForbidden"}),
        ({"oauth2": {**TOKENS, "scopes": ["a b"]}}, {"oauth2.scopes[0]": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "scopes": [""]}}, {"oauth2.scopes[0]": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "scopes": ["a"] * 51}}, {"oauth2.scopes": "FieldValueTooMany"}),
        ({"oauth2": {**TOKENS, "audience": ""}}, {"oauth2.audience": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "caBundle": "?"}}, {"oauth2.caBundle": "FieldValueInvalid"}),
        ({"oauth2": {**TOKENS, "caBundle": "YWFh" * 131_073}}, {"oauth2.caBundle": "FieldValueTooLong"}),
    ],
)
def test_ways_to_authenticate_are_checked(auth: dict[str, Any], found: dict[str, str]) -> None:
    problems: tuple[FieldProblem, ...] = tuple(ObjectAdmission().problems_on_create(cluster(authInfo=auth)))
    assert dict(shown(problems)) == {f"spec.authInfo.{field}": reason for field, reason in found.items()}
    assert "hunter2" not in str(problems)


def test_certificate_needs_tls() -> None:
    made = cluster(url="http://broker", authInfo={"clientCertificate": {"secretRef": HERE}})
    assert shown(ObjectAdmission().problems_on_create(made)) == [
        ("spec.authInfo.clientCertificate", "FieldValueInvalid")
    ]


def test_namespace_cannot_have_lists_that_nobody_can_read() -> None:
    def namespace(**annotations: str) -> Namespace:
        return Namespace.model_validate({"metadata": {"name": "n", "annotations": annotations}})

    good = namespace(**{"chandlery.io/broker-allow": "10.0.0.0/8, *.example.com", "chandlery.io/broker-deny": "http:"})
    bad = namespace(**{"chandlery.io/broker-allow": "10.0.0.0/99"})
    wanted = [("metadata.annotations[chandlery.io/broker-allow]", "FieldValueInvalid")]
    admission = ObjectAdmission()
    assert shown(admission.problems_on_create(good)) == []
    assert shown(admission.problems_on_create(bad)) == wanted
    assert shown(admission.problems_on_update(good, bad)) == wanted
    assert shown(admission.problems_on_update(bad, bad)) == []
