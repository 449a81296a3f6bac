import pytest

from chandlery.model import faults
from chandlery.model.faults import FieldProblem
from chandlery.model.objects.kinds import SECRET, SERVICE_INSTANCE
from chandlery_gateway.kube.body.bodies import RequestTooLarge
from chandlery_gateway.kube.printing.status_objects import (
    MethodNotAllowed,
    TooManyRequests,
    Unauthorized,
    status_of,
    status_success,
)
from chandlery_gateway.kube.query.negotiation import NotAcceptable, UnsupportedMediaType


@pytest.mark.parametrize(
    ("fault", "code", "reason", "message"),
    [
        (faults.NotFound(), 404, "NotFound", 'serviceinstances.servicecatalog.k8s.io "x" not found'),
        (faults.NotFound("namespace n is gone"), 404, "NotFound", "namespace n is gone"),
        (faults.AlreadyExists(), 409, "AlreadyExists", 'serviceinstances.servicecatalog.k8s.io "x" already exists'),
        (
            faults.Conflict("read it again"),
            409,
            "Conflict",
            'Operation cannot be fulfilled on serviceinstances.servicecatalog.k8s.io "x": read it again',
        ),
        (
            faults.Forbidden("user a may not"),
            403,
            "Forbidden",
            'serviceinstances.servicecatalog.k8s.io "x" is forbidden: user a may not',
        ),
        (faults.BadRequest("what"), 400, "BadRequest", "what"),
        (faults.Expired("old"), 410, "Expired", "old"),
        (faults.Unavailable("no database"), 503, "ServiceUnavailable", "no database"),
        (Unauthorized("who"), 401, "Unauthorized", "who"),
        (MethodNotAllowed("no"), 405, "MethodNotAllowed", "no"),
        (NotAcceptable("no"), 406, "NotAcceptable", "no"),
        (RequestTooLarge("no"), 413, "RequestEntityTooLarge", "no"),
        (UnsupportedMediaType("no"), 415, "UnsupportedMediaType", "no"),
        (TooManyRequests("no"), 429, "TooManyRequests", "no"),
    ],
)
def test_fault_becomes_a_status(fault: faults.Fault, code: int, reason: str, message: str) -> None:
    given_code, status = status_of(fault, kind=SERVICE_INSTANCE, name="x")
    assert given_code == code == status["code"]
    assert (status["reason"], status["message"], status["status"]) == (reason, message, "Failure")
    details = {key: value for key, value in status["details"].items() if key != "retryAfterSeconds"}
    assert details == {"name": "x", "group": "servicecatalog.k8s.io", "kind": "serviceinstances"}
    assert ("retryAfterSeconds" in status["details"]) is (code in (429, 503))


def test_subclass_of_a_fault_becomes_the_status_of_its_parent() -> None:
    class Special(faults.Conflict):
        """Special."""

    assert status_of(Special())[0] == 409


@pytest.mark.parametrize(
    "fault", [faults.SealBroken("key 7"), faults.LeaseLost(), RuntimeError("secret"), faults.ConfigurationFault("dsn")]
)
def test_unforeseen_exception_becomes_an_internal_error_without_detail(fault: Exception) -> None:
    code, status = status_of(fault, kind=SECRET, name="x")
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"] == "Internal error occurred; the server's log has the details"


def test_invalid_object_becomes_a_status_with_causes() -> None:
    problems = (
        FieldProblem("spec.url", "FieldValueRequired", "give it"),
        FieldProblem("spec.x", "FieldValueForbidden", "not you"),
    )
    code, status = status_of(faults.Invalid(problems=problems), kind=SERVICE_INSTANCE, name="x")
    assert code == 422
    assert status["message"] == (
        'ServiceInstance.servicecatalog.k8s.io "x" is invalid: '
        "[spec.url: Required value: give it, spec.x: Forbidden: not you]"
    )
    assert status["details"] == {
        "name": "x",
        "group": "servicecatalog.k8s.io",
        "kind": "ServiceInstance",
        "causes": [
            {"reason": "FieldValueRequired", "message": "Required value: give it", "field": "spec.url"},
            {"reason": "FieldValueForbidden", "message": "Forbidden: not you", "field": "spec.x"},
        ],
    }


def test_invalid_object_of_a_core_kind_is_named_without_group() -> None:
    fault = faults.Invalid(problems=(FieldProblem("data", "FieldValueTooLong", "too big"),))
    _, status = status_of(fault, kind=SECRET, name="s")
    assert status["message"] == 'Secret "s" is invalid: data: Too long: too big'
    assert "group" not in status["details"]


def test_invalid_request_without_fields_has_no_details() -> None:
    """kubectl would print the details in place of the message."""
    _, status = status_of(faults.Invalid("the patch fails"), kind=SECRET, name="s")
    assert status["message"] == "the patch fails"
    assert "details" not in status


def test_fault_about_no_object_has_no_details() -> None:
    _, status = status_of(faults.NotFound("no such path"))
    assert "details" not in status


def test_deletion_is_answered_with_success() -> None:
    assert status_success(SERVICE_INSTANCE, "x", uid="u") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "x", "group": "servicecatalog.k8s.io", "kind": "serviceinstances", "uid": "u"},
    }


def test_an_answer_repeats_a_request_cleaned_and_in_part() -> None:
    hostile = "\x1b[31m\u202e" + "x" * 300_000
    problem = FieldProblem(f"spec.{hostile}", "FieldValueInvalid", f"{hostile} is not known; see kubectl explain")
    _, status = status_of(faults.Invalid(problems=(problem,)), kind=SERVICE_INSTANCE, name="one")
    (cause,) = status["details"]["causes"]
    for text in (status["message"], cause["message"], cause["field"]):
        assert text.isprintable()
        assert len(text) < 20_000
    assert cause["message"].endswith(" is not known; see kubectl explain")
