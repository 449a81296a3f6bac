"""Checks of RabbitMQ: over AMQP alone, for there is no management interface to count on."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from chandlery.process.commands.doctor.check import RABBITMQ, Check, Result, checks_of, unused
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import rabbitmq_verdicts

_REACHED: Final = "rabbitmq"
_MOST_TYPES: Final = 50

_check = checks_of(RABBITMQ)


def rabbitmq_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    looks = _RabbitLooks(around)

    def check(name: str, question: str, look: Callable[[], Awaitable[Result]], *, blocks: str = "") -> Check:
        async def ask() -> Result:
            return await look() if around.has_rabbitmq else unused("the message bus is within the process (memory:)")

        needs = () if name == _REACHED else (_REACHED,)
        return _check(name, question, look=ask, needs=needs, blocks=blocks)

    return [
        check(
            _REACHED,
            "Does every server of the URL let us in, with TLS and login?",
            looks.servers,
            blocks=rabbitmq_verdicts.AWAY,
        ),
        check("rabbitmq-version", "Is its version one that Chandlery works with?", looks.version),
        check("rabbitmq-certificates", "For how long are the servers' certificates valid?", looks.certificates),
        check("rabbitmq-alarms", "Does it take messages, or is there an alarm of memory or disk?", looks.alarms),
        check("exchanges", "Are the exchanges there?", looks.exchanges),
        check("work-queues", "Are the work queues there?", looks.work_queues),
        check("consumers", "Does a worker listen on each of them?", looks.consumers),
        check("queue-depth", "How much waits in them?", looks.depth),
        check("queue-type", "Are queues of the type that the settings ask for?", looks.types),
        check("dead-letters", "Is there anything that workers gave up on?", looks.dead_letters),
    ]


class _RabbitLooks:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def servers(self) -> Result:
        return rabbitmq_verdicts.servers(await self._around.rabbitmq_servers())

    async def version(self) -> Result:
        return rabbitmq_verdicts.version(await self._around.rabbitmq_servers())

    async def certificates(self) -> Result:
        return rabbitmq_verdicts.certificates(await self._around.rabbitmq_servers(), now=datetime.now(UTC))

    async def alarms(self) -> Result:
        return rabbitmq_verdicts.alarms(await self._around.rabbitmq.takes_messages())

    async def exchanges(self) -> Result:
        return rabbitmq_verdicts.exchanges(await self._around.rabbitmq.missing_exchanges())

    async def work_queues(self) -> Result:
        queues, knows_lanes = await self._around.queues()
        return rabbitmq_verdicts.work_queues(queues, knows_lanes=knows_lanes)

    async def consumers(self) -> Result:
        queues, _ = await self._around.queues()
        return rabbitmq_verdicts.consumers(queues)

    async def depth(self) -> Result:
        queues, _ = await self._around.queues()
        return rabbitmq_verdicts.depth(queues)

    async def types(self) -> Result:
        looking, topology = self._around.rabbitmq, self._around.rabbitmq.topology
        dead = topology.dead_letter_queues.values()
        there = await looking.queues([spec.name for spec in dead])
        known = [spec for spec in dead if there[spec.name] is not None]
        queues, _ = await self._around.queues()
        # Those that nobody listens to may go at any moment, and would be made anew by the question.
        known += [topology.work_queue(name) for name, facts in queues.items() if facts is not None and facts.consumers]
        some = known[:_MOST_TYPES]
        differing = await looking.differing(some)
        return rabbitmq_verdicts.queue_type(differing, looked_at=len(some), wanted=topology.queue_type)

    async def dead_letters(self) -> Result:
        topology = self._around.rabbitmq.topology
        names = {topology.prefix + name: name for name in rabbitmq_verdicts.DEAD_QUEUES}
        found = await self._around.rabbitmq.queues(list(names))
        return rabbitmq_verdicts.dead_letters({names[name]: facts for name, facts in found.items()})
