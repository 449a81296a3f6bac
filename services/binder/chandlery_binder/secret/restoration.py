"""What becomes of a binding whose Secret was deleted or changed by others. Pure; `ready_machine.py` decides on it.

The copy that is kept since the credentials were delivered is put back without the broker. Bindings from before copies
were kept ask the broker; where that shows nothing either, only other credentials help, and a user has to want them.
"""

from dataclasses import replace

from chandlery.model.objects.reasons import BindingReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verdict, call_failure
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.bind_answers import absorb_delivery
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_remedies import how_to_rotate
from chandlery_binder.facts.binding_snapshot import InjectionProblem

_LOST = "the Secret is missing or cannot be decrypted, and the broker does not return its credentials again"


def absorb_restoration(
    draft: BindingDraft, *, credentials: JsonObject, problem: InjectionProblem | None
) -> BindingResult:
    """The Secret is written again, or cannot be."""
    if problem is not None:
        # They were in a Secret once, and are in use perhaps: nothing of that is a reason to revoke them.
        lasting = replace(problem, is_final=False)
        return absorb_delivery(draft, grant=None, credentials=credentials, problem=lasting)
    draft.remember(secret_problem="")
    draft.keep_delivered(credentials)
    draft.say(
        BindingReason.RESTORED_SECRET,
        "The Secret was deleted, changed or could not be decrypted. It has been written again",
    )
    return draft.rest()


def absorb_failed_recovery(draft: BindingDraft, answer: Answer) -> BindingResult:
    """The broker was asked for what was in the Secret, and gave nothing."""
    if answer.verdict == Verdict.SUCCEEDED:
        return report_lost(draft)
    message = joined(
        f"the Secret is missing or cannot be decrypted. {call_failure('fetch of the binding', answer)}",
        how_to_rotate(draft.metadata),
    )
    draft.tell(BindingReason.SECRET_LOST, message)
    draft.remember(secret_problem=message)
    attempt = draft.attempt + 1
    pause = draft.policy.pause(attempt, answer.retry_after_seconds)
    return draft.rest_ready(due_at=draft.now + pause, attempt=attempt)


def report_lost(draft: BindingDraft) -> BindingResult:
    """Say how to get other credentials."""
    message = joined(_LOST, how_to_rotate(draft.metadata))
    draft.tell(BindingReason.SECRET_LOST, message)
    draft.remember(secret_problem=message)
    return draft.rest()
