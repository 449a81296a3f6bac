"""Which refusals of a bind are final, and how they are told. Pure; used by `bind_answers.py`.

The reference takes every error of a bind for final, so that a broker's bad minute costs users a delete and a create.
Here a refusal is final only if it speaks of this bind. It is tried again if it speaks of something else:

- nothing was sent, or the broker's URL redirects (3xx): the way to the broker is at fault;
- 401, 403: the platform's own credentials, which an operator renews in the broker's Secret;
- 404: a router in front of the broker during its deployment, mostly; OSB has no 404 for a bind;
- 408: the broker has not read the request in time (OSB v2.17, "Orphan Mitigation": the platform may repeat it);
- 412: the API version, which changes with the broker's release;
- 429: too many requests; `Retry-After` is obeyed;
- ConcurrencyError: another operation on the same instance or binding goes first.

That leaves 400, 409 (the same id with other parameters), 410 (in OSB an answer to deletions and polls only), the other
422, and whatever else a broker may answer between 400 and 499.
"""

from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.call_failure import call_failure

_NOT_ABOUT_THE_BIND = frozenset({401, 403, 404, 408, 412, 429})
_REDIRECTS = range(300, 400)


def is_final(answer: Answer) -> bool:
    """Whether the same bind would be refused again."""
    if answer.verdict == Verdict.UNREACHABLE or answer.error == "ConcurrencyError":
        return False
    return answer.status not in _NOT_ABOUT_THE_BIND and answer.status not in _REDIRECTS


def told(answer: Answer) -> str:
    """The refusal as a sentence for people, with a way out where there is one."""
    sentence = call_failure("bind call", answer)
    if answer.error == "AsyncRequired":
        return (
            f"{sentence}; the broker binds only asynchronously, and that is possible only for classes "
            f"whose bindings can be fetched (bindings_retrievable in the broker's catalog)"
        )
    if answer.error == "RequiresApp":
        return (
            f"{sentence}; the broker binds only to an application: create the binding anew with its id in "
            f"spec.bindResource.appGUID"
        )
    return sentence
