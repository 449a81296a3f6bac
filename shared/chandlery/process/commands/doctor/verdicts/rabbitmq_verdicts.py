"""What to think of RabbitMQ: its servers, its queues and who listens on them, dead letters. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from chandlery.contracts.topology import DEAD_LETTER_QUEUES, WORK_QUEUES
from chandlery.process.commands.doctor.check import (
    Result,
    counted,
    fail,
    failed_with,
    in_a_row,
    ok,
    some_of,
    unused,
    warn,
)
from chandlery.process.commands.doctor.verdicts.certificate_verdicts import all_of, validity

if TYPE_CHECKING:
    # What speaks AMQP is an extra, and `chandlery up` is looked at without it.
    from chandlery.messaging.rabbitmq.connecting.rabbitmq_facts import RabbitFacts
    from chandlery.messaging.rabbitmq.rabbitmq_inspection import QueueFacts

OLDEST: Final = (3, 10)
LISTENERS: Final[Mapping[str, str]] = {queue: queue.partition(".")[0] for queue in WORK_QUEUES.values()}
"""Work queue, without its lane -> the service that listens on it."""
AWAY: Final = "RabbitMQ cannot be reached"
_START: Final = "start it, or correct host and port in CHANDLERY_AMQP_URL"
_LOG_IN: Final = "correct user, password and virtual host in CHANDLERY_AMQP_URL, or let the user in on the server"
_LONG: Final = 1_000
_VERY_LONG: Final = 100_000

Queues = Mapping[str, "QueueFacts | None"]
"""By the contract's names; None for one that is not there."""


def servers(found: Sequence["RabbitFacts"]) -> Result:
    """Each server of the URL."""
    away = [each for each in found if each.fault is not None]
    if len(away) == len(found):
        first = away[0].fault
        assert first is not None  # noqa: S101 - for mypy
        result = failed_with(first, otherwise=_LOG_IN if away[0].is_login_refused else _START, blocks=AWAY)
        if len(away) == 1:
            return result
        whys = "; ".join(each.fault.message for each in away if each.fault)
        return replace(result, message=f"none of {len(away)} servers lets us in: {whys}")
    let_in = ", ".join(f"{each.address} ({'TLS' if each.has_tls else 'no TLS'})" for each in found if not each.fault)
    if away:
        whys = "; ".join(each.fault.message for each in away if each.fault)
        return warn(
            f"{len(away)} of {len(found)} servers keep us out: {whys}",
            "bring them back, or take them out of CHANDLERY_AMQP_URL",
        )
    return ok(f"{let_in} {'lets' if len(found) == 1 else 'let'} us in")


def version(found: Sequence["RabbitFacts"]) -> Result:
    """Whether it is one that we can work with."""
    known = {each.version: each for each in found if each.version}
    if not known:
        return warn("the server does not tell its version", f"use RabbitMQ {'.'.join(map(str, OLDEST))} or newer")
    oldest = min(known)
    shown = f"{known[oldest].product or 'RabbitMQ'} {'.'.join(map(str, oldest))}"
    if oldest < OLDEST:
        return fail(f"{shown} is too old", f"upgrade to RabbitMQ {'.'.join(map(str, OLDEST))} or newer")
    return ok(shown)


def certificates(found: Sequence["RabbitFacts"], *, now: datetime) -> Result:
    """Those that the servers show."""
    dated = [(each.address, each.certificate_until) for each in found if each.certificate_until]
    results = [
        validity(f"the certificate of RabbitMQ at {address}", None, until, now=now, remedy="renew it on that server")
        for address, until in dated
    ]
    return all_of(results, otherwise="the servers of CHANDLERY_AMQP_URL show no certificate")


def alarms(takes_messages: bool) -> Result:
    """Whether the server takes messages."""
    if takes_messages:
        return ok("RabbitMQ takes messages: no alarm of memory or disk")
    from chandlery.messaging.rabbitmq.rabbitmq_errors import BLOCKED  # noqa: PLC0415 - an extra, see above

    return fail(
        BLOCKED.rstrip("."), "`rabbitmq-diagnostics alarms` on its nodes says which; give it memory or room on its disk"
    )


def exchanges(missing: Sequence[str]) -> Result:
    """Whether the exchanges are there."""
    if missing:
        return warn(
            f"no process has declared the exchanges yet: {', '.join(missing)}",
            "start a service; each declares them when it connects",
        )
    return ok("the exchanges are there")


def work_queues(queues: Queues, *, knows_lanes: bool) -> Result:
    """Whether the queues are there that workers listen on."""
    missing = sorted(name for name, facts in queues.items() if facts is None)
    told = "" if knows_lanes else " (those of service brokers are not known without the database)"
    if missing:
        return warn(
            f"no worker has declared {len(missing)} of {len(queues)} work queues yet: {some_of(missing)}{told}",
            "workers declare them within 15 s of their start: see the check consumers",
        )
    return ok(f"all {len(queues)} work queues are there{told}")


def consumers(queues: Queues) -> Result:
    """Whether each queue has somebody who listens."""
    silent: dict[str, list[str]] = {}
    totals: dict[str, int] = {}
    for name, facts in queues.items():
        service = service_of(name)
        totals[service] = totals.get(service, 0) + 1
        if facts is None or not facts.consumers:
            silent.setdefault(service, []).append(name)
    gone = [service for service, names in silent.items() if len(names) == totals[service]]
    if gone:
        return fail(
            f"nobody listens on the queues of the {in_a_row(gone)}",
            f"start {in_a_row([f'`chandlery {service}`' for service in gone])}, restart one that hangs, "
            "or look at the log and at /readyz",
        )
    if silent:
        names = sorted(name for some in silent.values() for name in some)
        return warn(
            f"nobody listens on {len(names)} of {len(queues)} queues: {some_of(names)}",
            "workers find a new service broker's queues within 15 s; if this lasts, look for open_lane in their logs",
        )
    return ok(f"somebody listens on each of {len(queues)} queues")


def depth(queues: Queues) -> Result:
    """How much waits in them."""
    there = {name: facts.messages for name, facts in queues.items() if facts is not None}
    if not there:
        return unused("there are no work queues")
    total, longest = sum(there.values()), max(there, key=lambda name: there[name])
    told = f"{counted(total, 'command')} in work queues" + (
        f", {there[longest]:,} in {longest}" if there[longest] else ""
    )
    if there[longest] < _LONG:
        return ok(told)
    remedy = "a long queue of one service broker means that it is slow: see the checks circuits and backlog"
    return fail(told, remedy) if there[longest] >= _VERY_LONG else warn(told, remedy)


def queue_type(differing: Sequence[str], *, looked_at: int, wanted: str) -> Result:
    """Whether durable queues are what the settings ask for."""
    if differing:
        return warn(
            f"other than the settings ask ({wanted}): {len(differing)} of {looked_at} queues ({some_of(differing)})",
            "delete them one by one (`rabbitmqctl delete_queue`): listeners make them anew, the sweep fills them "
            "(or set CHANDLERY_AMQP_QUEUE_TYPE to what they are)",
        )
    if not looked_at:
        return unused("there are no queues yet")
    return ok(f"{counted(looked_at, 'queue')} of type {wanted}, with the expected properties")


def dead_letters(queues: Queues) -> Result:
    """What workers gave up on."""
    there = {name: facts.messages for name, facts in queues.items() if facts is not None and facts.messages}
    if there:
        told = ", ".join(f"{count:,} in {name}" for name, count in sorted(there.items()))
        return warn(
            f"there are dead letters: {told}",
            "look at them with `chandlery deadletters list`, then replay or drop them",
        )
    return ok("there are no dead letters")


def service_of(queue: str) -> str:
    """The service that listens on a work queue, by the contract's name."""
    return queue.partition(".")[0]


DEAD_QUEUES: Final = tuple(DEAD_LETTER_QUEUES.values())
