"""What a round is counted as: by its decision, by the answer, and by what has ended with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.engine.reconciler import Planned
from chandlery.engine.rounds.round_report import DeferralReason, Outcome, report_of_call, report_of_deferral
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingStatus
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import Idle, action_name
from chandlery_binder.facts.binding_notes import BindingPurpose
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import AlreadyApplied
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog

NOON = datetime(2026, 12, 2, 12, tzinfo=UTC)
LANE = "broker:/harbour"


def _planned(purpose: InstancePurpose | BindingPurpose) -> Planned[None]:
    return Planned(call=None, sealed=None, memory={}, action=purpose.value, traits=purpose.traits)


def _answer(verdict: Verdict) -> Answer:
    return Answer(verb=Verb.PROVISION, verdict=verdict)


def _instance(*, is_mitigating: bool = False, is_polled: bool = False) -> ServiceInstance:
    status = ServiceInstanceStatus(orphan_mitigation_in_progress=is_mitigating, async_op_in_progress=is_polled)
    return ServiceInstance(metadata=ObjectMeta(name="one"), status=status)


def _binding(
    *, rotated_at: datetime | None = None, is_rotating: bool = False, is_deleted: bool = False
) -> ServiceBinding:
    rotating = Condition(type=ConditionType.RECONCILING, status=ConditionStatus.TRUE, reason=BindingReason.ROTATING)
    return ServiceBinding(
        metadata=ObjectMeta(name="one", deletion_timestamp=NOON if is_deleted else None),
        status=ServiceBindingStatus(conditions=(rotating,) if is_rotating else (), last_rotation_time=rotated_at),
    )


@pytest.mark.parametrize(
    ("answer", "is_delivered", "outcome"),
    [
        pytest.param(_answer(Verdict.SUCCEEDED), True, Outcome.DONE, id="succeeded"),
        pytest.param(_answer(Verdict.GONE), True, Outcome.DONE, id="gone already"),
        pytest.param(_answer(Verdict.ACCEPTED), True, Outcome.IN_PROGRESS, id="accepted"),
        pytest.param(_answer(Verdict.IN_PROGRESS), True, Outcome.IN_PROGRESS, id="polled"),
        pytest.param(_answer(Verdict.OPERATION_FAILED), True, Outcome.FAILED, id="failed later"),
        pytest.param(_answer(Verdict.BROKEN), True, Outcome.FAILED, id="5xx"),
        pytest.param(_answer(Verdict.UNREACHABLE), True, Outcome.FAILED, id="not reached"),
        pytest.param(_answer(Verdict.SUCCEEDED), False, Outcome.FAILED, id="not delivered"),
        pytest.param(None, True, Outcome.DONE, id="nobody was called"),
        pytest.param(FetchedCatalog(_answer(Verdict.SUCCEEDED)), True, Outcome.DONE, id="a catalog"),
        pytest.param(
            FetchedCatalog(_answer(Verdict.SUCCEEDED), problem="odd"), True, Outcome.FAILED, id="an unusable catalog"
        ),
    ],
)
def test_the_outcome_of_a_call_is_that_of_its_answer(answer: Any, is_delivered: bool, outcome: Outcome) -> None:
    report = report_of_call(
        _planned(InstancePurpose.PROVISION),
        answer,
        before=_instance(),
        after=_instance(),
        lane=LANE,
        is_delivered=is_delivered,
    )
    assert (report.action, report.outcome, report.lane) == ("provision", outcome, LANE)


@pytest.mark.parametrize(
    ("purpose", "before", "after", "ended"),
    [
        pytest.param(
            InstancePurpose.MITIGATE, _instance(is_mitigating=True), _instance(), Outcome.DONE, id="done at once"
        ),
        pytest.param(
            InstancePurpose.MITIGATE,
            _instance(is_mitigating=True),
            _instance(is_mitigating=True, is_polled=True),
            None,
            id="accepted",
        ),
        pytest.param(
            InstancePurpose.MITIGATE,
            _instance(is_mitigating=True),
            _instance(is_mitigating=True),
            Outcome.FAILED,
            id="refused",
        ),
        pytest.param(InstancePurpose.MITIGATE, _instance(), _instance(), Outcome.DONE, id="done although it was held"),
        pytest.param(
            InstancePurpose.POLL,
            _instance(is_mitigating=True, is_polled=True),
            _instance(),
            Outcome.DONE,
            id="done at last",
        ),
        pytest.param(
            InstancePurpose.POLL,
            _instance(is_mitigating=True, is_polled=True),
            _instance(is_mitigating=True),
            Outcome.FAILED,
            id="failed at last",
        ),
        pytest.param(
            InstancePurpose.PROVISION, _instance(), _instance(is_mitigating=True), None, id="only begun by this"
        ),
    ],
)
def test_an_orphan_mitigation_is_counted_when_it_ends(
    purpose: InstancePurpose, before: ServiceInstance, after: ServiceInstance, ended: Outcome | None
) -> None:
    report = report_of_call(
        _planned(purpose), _answer(Verdict.SUCCEEDED), before=before, after=after, lane=LANE, is_delivered=True
    )
    assert report.mitigation == ended


@pytest.mark.parametrize(
    ("purpose", "after", "ended"),
    [
        pytest.param(BindingPurpose.ROTATE, _binding(rotated_at=NOON), Outcome.DONE, id="done at once"),
        pytest.param(BindingPurpose.ROTATE, _binding(is_rotating=True), None, id="accepted"),
        pytest.param(BindingPurpose.ROTATE, _binding(), Outcome.FAILED, id="refused"),
        pytest.param(BindingPurpose.POLL_ROTATION, _binding(is_rotating=True), None, id="polled"),
        pytest.param(BindingPurpose.POLL_ROTATION, _binding(), Outcome.FAILED, id="failed at last"),
        pytest.param(BindingPurpose.FETCH_ROTATION, _binding(rotated_at=NOON), Outcome.DONE, id="fetched"),
        pytest.param(BindingPurpose.ROTATE, _binding(is_deleted=True), None, id="not wanted any more"),
        pytest.param(BindingPurpose.RETIRE, _binding(), None, id="no rotation"),
    ],
)
def test_a_rotation_is_counted_when_it_ends(
    purpose: BindingPurpose, after: ServiceBinding, ended: Outcome | None
) -> None:
    report = report_of_call(
        _planned(purpose), _answer(Verdict.SUCCEEDED), before=_binding(), after=after, lane=LANE, is_delivered=True
    )
    assert report.rotation == ended


@pytest.mark.parametrize("is_circuit", [True, False])
def test_a_call_that_is_held_back_is_counted_by_its_reason(is_circuit: bool) -> None:
    deferral = Deferral(due_at=NOON, next_at=NOON, message="Later", is_circuit=is_circuit)

    report = report_of_deferral("provision", deferral, lane=LANE)

    assert report.outcome == Outcome.DEFERRED
    assert report.deferred_by == (DeferralReason.CIRCUIT if is_circuit else DeferralReason.RATE_LIMIT)


def test_an_action_is_called_as_its_class_is() -> None:
    assert action_name(AlreadyApplied()) == "already applied"
    assert action_name(Idle()) == "idle"
    assert BindingPurpose.POLL_ROTATION.value == "poll rotation"
