"""The span of one round: begun when its object is claimed, current while it is decided, called and recorded.

Comes in: what the row of work remembers (`WorkTrace`), and the span in which the command is handled.
Goes out: one span, which links to the round before; what the row is to remember.
Called by: the reconcile loop.

Whatever has made the object due, its rounds belong to that trace, in whichever process they run and however often it
takes: a command that comes by another way, such as the wake-up of somebody else's trace, is linked.
"""

import time
from collections.abc import Iterator
from contextvars import Token
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, Tracer, get_current_span, set_span_in_context

from chandlery.contracts.messages import Reconcile
from chandlery.engine.rounds.claimed_round import broker_of
from chandlery.engine.rounds.round_report import Outcome, RoundReport
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.work.work_claims import Claim, WorkTrace
from chandlery.telemetry.tracing.spans import fail
from chandlery.telemetry.tracing.traceparent import below, span_context_of, traceparent_of

_BEFORE: Final = {"chandlery.link": "round before"}
_FAILED: Final = frozenset({Outcome.FAILED, Outcome.LEASE_LOST, Outcome.GIVEN_BACK, Outcome.ERROR})
_WOKEN_BY: Final = {"chandlery.link": "woken by"}


class RoundTrace:
    """Belongs to one round, from its command to its end. Without a claim there is no span."""

    __slots__ = ("_around", "_began", "_cause", "_lane", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._around = get_current_span().get_span_context()
        self._began = time.time_ns()
        self._span: Span = INVALID_SPAN
        self._cause: str | None = None
        self._lane: str | None = None
        self._token: Token[Context] | None = None

    def begin(self, claim: Claim, document: AnyObject | None) -> Claim:
        """The claim, with what the row is to remember from now on. In a transaction that is repeated it is asked again.

        Makes the span current where it is called, which has a context of its own.
        """
        if self._span is INVALID_SPAN:
            self._span = self._started(claim)
            if document is not None and self._span.is_recording():
                self._span.set_attribute("chandlery.name", document.metadata.name)
                self._span.set_attribute("chandlery.namespace", document.metadata.namespace or "")
        attach(set_span_in_context(self._span))
        self._lane = claim.lane
        span = self._span.get_span_context()
        self._cause = claim.trace.cause or traceparent_of(self._around if self._around.is_valid else span)
        return replace(claim, trace=WorkTrace(self._cause, traceparent_of(span) if span.trace_flags.sampled else None))

    def reminder(self, command: Reconcile) -> Reconcile:
        """The command for the next try, on the lane of the work: a command that is old may name another."""
        return Reconcile(kind=command.kind, uid=command.uid, lane=self._lane or command.lane, traceparent=self._cause)

    def enter(self) -> None:
        """The claim is committed: from here on the span is the current one of the round's task."""
        if self._span is not INVALID_SPAN:
            self._token = attach(set_span_in_context(self._span))

    def __enter__(self) -> Self:
        """Around the round."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the span. What was raised fails it."""
        if self._token is not None:
            detach(self._token)
        if kind is not None:
            fail(self._span, kind.__name__)
        self._span.end()

    def _started(self, claim: Claim) -> Span:
        cause = span_context_of(claim.trace.cause)
        is_of_cause = self._around.is_valid and cause.trace_id in (0, self._around.trace_id)
        parent = self._around if is_of_cause else cause
        span = self._tracer.start_span(
            f"reconcile {claim.kind}",
            context=below(parent),
            links=tuple(self._links(claim, parent)),
            start_time=self._began,
        )
        if span.is_recording():
            span.set_attribute("chandlery.kind", claim.kind)
            span.set_attribute("chandlery.uid", claim.uid)
            span.set_attribute("chandlery.broker", broker_of(claim.lane))
            span.set_attribute("chandlery.attempt", claim.attempt + 1)
        return span

    def _links(self, claim: Claim, parent: SpanContext) -> Iterator[Link]:
        if (before := span_context_of(claim.trace.last_round)).is_valid:
            yield Link(before, _BEFORE)
        if self._around.is_valid and self._around is not parent:
            yield Link(self._around, _WOKEN_BY)


def note_report(span: Span, report: RoundReport) -> None:
    """What was decided, and what came of it."""
    if not span.is_recording():
        return
    span.set_attribute("chandlery.action", report.action)
    span.set_attribute("chandlery.outcome", str(report.outcome))
    if report.lane:
        span.set_attribute("chandlery.broker", broker_of(report.lane))
    if report.outcome in _FAILED:
        fail(span, str(report.outcome))
