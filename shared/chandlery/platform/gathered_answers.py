"""What a round has learnt from a platform that joins no transaction: asked for within one, fetched outside.

A decision is prepared with what is known so far. Whatever else it asks for is noted, and is answered as missing for
the moment; the loop throws such a decision away, ends the transaction, has `gather` ask the platform, and begins anew.
"""

import asyncio
from dataclasses import dataclass

from chandlery.model.faults import Fault, Forbidden, Invalid
from chandlery.model.objects.core import Namespace, Secret
from chandlery.platform.protocol import PlatformSession
from chandlery.reconcile.reconcile_result import DeleteSecret


@dataclass(frozen=True)
class _ReadNamespace:
    name: str


@dataclass(frozen=True)
class _ReadSecret:
    namespace: str
    name: str


_Question = _ReadNamespace | _ReadSecret | DeleteSecret


class GatheredAnswers:
    """A PlatformView that asks nobody by itself."""

    def __init__(self) -> None:
        self._known: dict[_Question, Namespace | Secret | Fault | None] = {}
        self._missing: dict[_Question, None] = {}

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for since `ask_anew` is known."""
        return not self._missing

    def ask_anew(self) -> None:
        """The preparation begins from the start; what is known stays known."""
        self._missing.clear()

    async def gather(self, session: PlatformSession) -> None:
        """Ask the platform for what is missing, all at once. Raises what it raises, once everything has come back."""
        missing = list(self._missing)
        answers = await asyncio.gather(*(_answered(session, each) for each in missing), return_exceptions=True)
        for question, answer in zip(missing, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Forbidden | Invalid):
                raise answer
            self._known[question] = answer
        self._missing.clear()

    async def namespace(self, name: str) -> Namespace | None:
        """See PlatformView."""
        found = self._look_up(_ReadNamespace(name))
        return found if isinstance(found, Namespace) else None

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """See PlatformView."""
        found = self._look_up(_ReadSecret(namespace, name))
        return found if isinstance(found, Secret) else None

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See PlatformView."""
        self._look_up(secret)

    def _look_up(self, question: _Question) -> Namespace | Secret | None:
        if question not in self._known:
            self._missing[question] = None
            return None
        answer = self._known[question]
        if isinstance(answer, Fault):
            raise answer
        return answer


async def _answered(session: PlatformSession, question: _Question) -> Namespace | Secret | None:
    match question:
        case _ReadNamespace():
            return await session.namespace(question.name)
        case _ReadSecret():
            return await session.read_secret(question.namespace, question.name)
        case DeleteSecret():
            await session.withdraw(question)
            return None
