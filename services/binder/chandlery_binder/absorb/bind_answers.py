"""What becomes of a binding after the answer to a bind or a fetch, and after its credentials were injected. Pure."""

from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verdict, call_failure
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery_binder.absorb.binding_draft import INJECTED, BindingDraft, BindingResult
from chandlery_binder.absorb.binding_ends import fail_and_mitigate, mitigate, mitigate_or_fail, retry
from chandlery_binder.absorb.binding_remedies import while_waiting
from chandlery_binder.facts.bind_grants import Grant
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import InjectionProblem
from chandlery_binder.facts.rotation_notes import RotationNotes
from chandlery_binder.facts.sealed_binding_notes import SealedNotes

_NOT_ABOUT_THE_BIND = frozenset({401, 403, 404, 408, 412, 429})
_REDIRECTS = range(300, 400)


def is_final(answer: Answer) -> bool:
    """Whether the same bind would be refused again."""
    if answer.verdict == Verdict.UNREACHABLE or answer.error == "ConcurrencyError":
        return False
    return answer.status not in _NOT_ABOUT_THE_BIND and answer.status not in _REDIRECTS


def told(answer: Answer) -> str:
    """The refusal as a sentence for people, with a remedy where there is one."""
    sentence = call_failure("bind call", answer)
    if answer.error == "AsyncRequired":
        return (
            f"{sentence}; the broker creates bindings only asynchronously, which needs "
            "bindings_retrievable: true of the class in the broker's catalog"
        )
    if answer.error == "RequiresApp":
        return (
            f"{sentence}; the broker binds only to an application: create the binding again with the "
            "application's id in spec.bindResource.appGUID"
        )
    return sentence


CONFLICT = 409


def absorb_delivery(
    draft: BindingDraft,
    *,
    grant: Grant | None,
    credentials: JsonObject,
    problem: InjectionProblem | None,
) -> BindingResult:
    """The credentials are in the Secret, or are kept for the next try: the broker is not asked for them again.

    `grant` is None where they come from an earlier round.
    """
    if grant is not None:
        note_grant(draft, grant)
        draft.remember(
            rotation=RotationNotes(granted_at=draft.now.timestamp(), seen=draft.snapshot.requested_actions.rotate)
        )
    if problem is None:
        draft.keep_delivered(credentials)
        draft.succeed(INJECTED)
        return draft.rest()
    message = f"Error injecting bind result: {problem.message}"
    draft.end_poll()
    draft.remember(is_fetch_due=False, fetches=0)
    if problem.is_final:
        return fail_and_mitigate(draft, BindingReason.ERROR_INJECTING, BindingReason.ERROR_INJECTING, message=message)
    if draft.is_time_over:
        return fail_and_mitigate(draft, BindingReason.ERROR_INJECTING, BindingReason.RETRY_TIMEOUT, message=message)
    draft.sealed = SealedNotes(undelivered=credentials)
    told = while_waiting(BindingReason.ERROR_INJECTING, message, draft.snapshot.binding)
    draft.ready(ConditionStatus.FALSE, BindingReason.ERROR_INJECTING, message=told)
    draft.say_once(BindingReason.ERROR_INJECTING, message, is_warning=True)
    return draft.wait(problem.waiting_for, interests=problem.interests or None)


def note_grant(draft: BindingDraft, grant: Grant) -> None:
    """What the status tells of the credentials beside those in the Secret, and what of the answer is not used."""
    draft.set(endpoints=grant.endpoints, expires_at=grant.expires_at, renew_before=grant.renew_before)
    if grant.ignored:
        names = ", ".join(grant.ignored)
        message = (
            f"The broker returned {names}, but its offering does not declare the permission (requires), so it "
            "is not delivered"
        )
        draft.say(BindingReason.IGNORED_BIND_RESULT, message, is_warning=True)


def absorb_lost_credentials(draft: BindingDraft) -> BindingResult:
    """Somebody was given the credentials who died before storing them, and the broker shows them once."""
    message = "The broker has the binding, but does not return its credentials again"
    return mitigate_or_fail(draft, BindingReason.BIND_FAILED, message=message)


def absorb_failed_bind(
    draft: BindingDraft, sent: OpenBindingRequest, *, answer: Answer, is_in_doubt: bool
) -> BindingResult:
    """OSB v2.17, "Binding" and "Orphan Mitigation". `is_in_doubt`: an earlier bind may have left something."""
    message = told(answer)
    if answer.verdict in (Verdict.BROKEN, Verdict.TIMED_OUT):
        return mitigate(draft, BindingReason.BIND_FAILED, message=message)
    if needs_mitigation(answer):
        # The broker breaks the protocol, and will do so the next time.
        return fail_and_mitigate(draft, BindingReason.BIND_FAILED, BindingReason.REFUSED, message=message)
    if is_in_doubt:
        return _absorb_failed_repeat(draft, sent, answer)
    if answer.verdict != Verdict.MALFORMED:
        # Refused or never sent: deleting the binding needs no call.
        draft.set(unbind_status="NotRequired")
    if not is_final(answer):
        return retry(draft, BindingReason.BIND_FAILED, message=message, retry_after_seconds=answer.retry_after_seconds)
    draft.fail(BindingReason.BIND_FAILED, BindingReason.REFUSED, message=message)
    draft.end_operation()
    return draft.rest()


def _absorb_failed_repeat(draft: BindingDraft, sent: OpenBindingRequest, answer: Answer) -> BindingResult:
    # What became of the first is as unknown as before: this answer is about the second.
    message = told(answer)
    if not is_final(answer):
        draft.keep_open(None if draft.is_deleted else sent)
        return retry(draft, BindingReason.BIND_FAILED, message=message, retry_after_seconds=answer.retry_after_seconds)
    if answer.status == CONFLICT:
        # The first did arrive, and this broker will not say again what it answered.
        return mitigate_or_fail(draft, BindingReason.BIND_FAILED, message=message)
    return fail_and_mitigate(draft, BindingReason.BIND_FAILED, BindingReason.REFUSED, message=message)


def absorb_failed_fetch(draft: BindingDraft, answer: Answer) -> BindingResult:
    """OSB has a platform fetch again: the binding exists, and nothing is known to be wrong with it."""
    draft.remember(is_fetch_due=True, fetches=draft.memory.fetches + 1)
    message = call_failure("fetch of the binding", answer)
    return retry(draft, BindingReason.FETCH_FAILED, message=message, retry_after_seconds=answer.retry_after_seconds)
