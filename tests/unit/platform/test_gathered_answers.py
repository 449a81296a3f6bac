"""What a platform that is a call away has said: asked for once, remembered with its refusals, and asked all at once."""

import asyncio

import pytest

from chandlery.model.faults import Forbidden, Unavailable
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.platform.gathered_answers import GatheredAnswers
from chandlery.reconcile.reconcile_result import DeleteSecret, PlatformWrite

SECRET = Secret(metadata=ObjectMeta(name="login", namespace="ns"))
OWN = DeleteSecret("ns", "one", "uid")


class FakeSession:
    """Answers when everybody has asked who is expected to."""

    def __init__(self, together: int = 1, fault: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._together = asyncio.Barrier(together)
        self._fault = fault

    async def namespace(self, name: str) -> Namespace | None:
        await self._say(f"namespace {name}")
        return None

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        await self._say(f"read {namespace}/{name}")
        return SECRET if name == "login" else None

    async def withdraw(self, secret: DeleteSecret) -> None:
        await self._say(f"withdraw {secret.name}")
        if self._fault is not None:
            raise self._fault

    async def carry_out(self, write: PlatformWrite) -> None:
        raise AssertionError(f"nothing is to be written: {write}")

    async def _say(self, call: str) -> None:
        self.asked.append(call)
        async with asyncio.timeout(5):
            await self._together.wait()


async def look(answers: GatheredAnswers) -> tuple[Namespace | None, Secret | None, Secret | None]:
    """Ask for a namespace, a Secret twice, and another that does not exist."""
    answers.ask_anew()
    await answers.read_secret("ns", "login")
    return (
        await answers.namespace("ns"),
        await answers.read_secret("ns", "login"),
        await answers.read_secret("ns", "other"),
    )


async def test_what_is_asked_for_is_fetched_once_and_all_at_once() -> None:
    answers, session = GatheredAnswers(), FakeSession(together=3)
    assert await look(answers) == (None, None, None)
    assert not answers.is_complete
    await answers.gather(session)
    assert await look(answers) == (None, SECRET, None)
    assert answers.is_complete
    assert sorted(session.asked) == ["namespace ns", "read ns/login", "read ns/other"]


async def test_more_that_is_asked_for_leaves_what_is_known() -> None:
    answers, session = GatheredAnswers(), FakeSession()
    await answers.read_secret("ns", "login")
    await answers.gather(session)
    answers.ask_anew()
    assert await answers.read_secret("ns", "login") == SECRET
    assert await answers.read_secret("ns", "other") is None
    assert not answers.is_complete
    await answers.gather(session)
    assert session.asked == ["read ns/login", "read ns/other"]


async def test_withdrawal_happens_when_it_is_gathered_and_a_refusal_is_told_to_who_wanted_it() -> None:
    answers, session = GatheredAnswers(), FakeSession(fault=Forbidden("it is protected"))
    await answers.withdraw(OWN)
    assert session.asked == []
    await answers.gather(session)
    answers.ask_anew()
    with pytest.raises(Forbidden, match="it is protected"):
        await answers.withdraw(OWN)
    assert answers.is_complete
    assert session.asked == ["withdraw one"]


async def test_platform_that_cannot_be_reached_is_asked_again() -> None:
    answers = GatheredAnswers()
    await answers.withdraw(OWN)
    with pytest.raises(Unavailable):
        await answers.gather(FakeSession(fault=Unavailable("it is away")))
    assert not answers.is_complete
    await answers.gather(session := FakeSession())
    assert session.asked == ["withdraw one"]
