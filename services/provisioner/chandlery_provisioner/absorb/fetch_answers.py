"""What becomes of an instance after it was fetched: the broker's own view of what it has. Pure.

OSB v2.17, "Fetching a Service Instance": a fetch that fails says nothing of the instance. Parameters are not taken
over: brokers may leave some out, and ours are what the user stated.
"""

from datetime import timedelta

from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.call_failure import call_failure
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft


def absorb_fetch(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    """Adopt what the broker tells; it is asked once after each success, whatever comes of it."""
    draft.remember(is_fetch_due=False)
    if answer.verdict != Verdict.SUCCEEDED:
        message = f"{call_failure('fetch of the instance', answer)}; the instance stays as it is known"
        draft.say(InstanceReason.FETCH_FAILED, message, is_warning=True)
        return draft.rest()
    draft.take_descriptions(answer)
    _take_version(draft, answer)
    is_other_plan = _take_plan(draft, answer)
    return draft.again(timedelta(0), attempt=0) if is_other_plan else draft.rest()


def _take_version(draft: InstanceDraft, answer: Answer) -> None:
    info = answer.body.get("maintenance_info")
    version = info.get("version") if isinstance(info, dict) else None
    if isinstance(version, str) and version:
        draft.revise(maintenance_version=version)


def _take_plan(draft: InstanceDraft, answer: Answer) -> bool:
    plan_id = answer.body.get("plan_id")
    if not isinstance(plan_id, str) or plan_id in ("", draft.memory.plan_id):
        return False
    message = f"The service broker has the instance on its plan {plan_id!r}, not on {draft.plan_name!r}"
    draft.say(InstanceReason.PLAN_DIFFERS, message, is_warning=True)
    draft.adopt_plan(plan_id)
    return True
