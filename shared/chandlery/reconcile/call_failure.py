"""How a failed call to a service broker is told to people. Used in conditions and events. Pure."""

from chandlery.reconcile.answers import Answer, Verdict


def call_failure(what: str, answer: Answer) -> str:
    """One sentence: `what` failed ("bind call"), and what the broker, or the way to it, had to say."""
    if answer.verdict in (Verdict.TIMED_OUT, Verdict.UNREACHABLE):
        return f"Error communicating with the broker during the {what}: {answer.sentence}"
    return f"The {what} failed: {answer.sentence}"
