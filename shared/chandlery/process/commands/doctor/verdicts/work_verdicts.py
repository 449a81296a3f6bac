"""What to think of the work: who does it, what waits and for how long, what holds it up. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chandlery.process.commands.doctor.check import Result, counted, fail, in_a_row, ok, warn
from chandlery.process.commands.doctor.verdicts.broker_verdicts import place_of
from chandlery.process.commands.doctor.verdicts.database_verdicts import shown_seconds
from chandlery.store.inspection.work_facts import (
    AbandonedLeases,
    LaneBacklog,
    NamedLease,
    Waiting,
)
from chandlery.store.roles.grants import ROLES

SHARES: Final = "calls service brokers/"
"""What leases of workers that call service brokers begin with; see `lane_shares`."""
SWEEP: Final = "sweep"
_OF_QUEUE: Final[Mapping[str, str]] = {
    "provisioner.instance.reconcile": "provisioner",
    "binder.binding.reconcile": "binder",
}
_SHOWN: Final = 3
_OUTBOX_LATE, _OUTBOX_STUCK = 30.0, 300.0
"""The sweep takes what is older than ten seconds."""
_WORK_LATE, _WORK_STUCK = 60.0, 900.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Signs of life of the services."""

    leases: Sequence[NamedLease] = ()
    sessions: Mapping[str, int] = field(default_factory=dict)
    """Sessions of our processes at the database, by service, as far as they can be seen."""
    sees_all_sessions: bool = False
    listeners: Mapping[str, int] | None = None
    """Consumers by service; None if they cannot be asked for."""
    is_alone: bool = False
    """Whether one process does everything (`chandlery up`)."""

    @property
    def live(self) -> Sequence[NamedLease]:
        """Leases that have not run out."""
        return [each for each in self.leases if each.seconds_left >= 0]

    def workers(self, service: str) -> int:
        """How many processes of a service that calls brokers hold a lease for that."""
        ends = [f"/{queue}" for queue, name in _OF_QUEUE.items() if name == service]
        return sum(each.name.startswith(SHARES) and each.name.endswith(tuple(ends)) for each in self.live)

    def running(self, service: str) -> int | None:
        """How many processes there are at least; None if that cannot be told from here."""
        if service in _OF_QUEUE.values():
            return self.workers(service)
        if self.sessions.get(service) or (self.listeners or {}).get(service):
            return 1
        # A gateway's queue of events has a name that nobody can guess.
        is_known = self.sees_all_sessions or (self.listeners is not None and service != "gateway")
        return 0 if is_known else None


def processes(seen: Seen) -> Result:
    """Whether each service has somebody who does its work."""
    sweeper = next((each.owner for each in seen.live if each.name == SWEEP), "")
    if seen.is_alone:
        if sweeper:
            return ok(f"`chandlery up` is at work ({sweeper})")
        return fail("`chandlery up` is not running on this folder", "start `chandlery up` with the same --data-dir")
    counts = {role: seen.running(role) for role in ROLES}
    gone = [role for role, count in counts.items() if count == 0]
    commands = in_a_row([f"`chandlery {role}`" for role in gone]) if gone else ""
    told = ", ".join(f"{role} {_count(role, counts[role])}" for role in ROLES)
    if not sweeper and not any(counts.values()):
        return fail(
            "no process of any service is at work on this database", "start the services, or look at their logs"
        )
    if gone:
        return fail(
            f"no process of the {in_a_row(gone)} is at work ({told})",
            f"start {commands}, or restart one that hangs; of one that ends at once the last line of its log says why",
        )
    return ok(f"at work: {told}")


def known_processes(seen: Seen) -> int:
    """At least so many processes have connections to the database."""
    return sum(max(1, seen.running(role) or 0) for role in ROLES)


def restored_work(since: str | None, *, is_unseen: bool) -> Result:
    """Whether anything is done about instances and bindings."""
    if is_unseen:
        return fail(
            "the database was restored or copied from another server, and processes wait", "`chandlery migrate`"
        )
    if since is None:
        return ok("nothing is held")
    return warn(
        f"the database was restored ({since}), and nothing is done about instances and bindings",
        "compare it with the service brokers (`chandlery reconcile brokers`), then `chandlery reconcile release`",
    )


def outbox(waiting: Waiting) -> Result:
    """Messages that were committed and not published."""
    if not waiting.count or waiting.seconds < _OUTBOX_LATE:
        told = f"{counted(waiting.count, 'message')} in the outbox, all of them young"
        return ok(told if waiting.count else "the outbox is empty")
    said = f"{counted(waiting.count, 'message')} in the outbox, the oldest for {shown_seconds(waiting.seconds)}"
    remedy = "RabbitMQ does not take them, or no process sweeps: see the checks rabbitmq, rabbitmq-alarms and processes"
    return fail(said, remedy) if waiting.seconds >= _OUTBOX_STUCK else warn(said, remedy)


def backlog(lanes: Sequence[LaneBacklog], *, objects: int, in_hand: int) -> Result:
    """What is due and not worked on."""
    count = sum(each.waiting.count for each in lanes)
    told = f"{counted(objects, 'object')}: {in_hand:,} worked on, {count:,} due"
    oldest = lanes[0].waiting.seconds if lanes else 0.0
    if oldest < _WORK_LATE:
        return ok(told)
    late = [each for each in lanes if each.waiting.seconds >= _WORK_LATE]
    some = ", ".join(
        f"{each.waiting.count:,} {each.kind} of {place_of(each.lane)} for {shown_seconds(each.waiting.seconds)}"
        for each in late[:_SHOWN]
    )
    more = f" and {len(late) - _SHOWN} more lanes" if len(late) > _SHOWN else ""
    said = f"{told}; late: {some}{more}"
    remedy = (
        "see the checks processes, consumers, broker-calls and circuits; "
        "a service broker that is slow holds up its own alone"
    )
    return fail(said, remedy) if oldest >= _WORK_STUCK else warn(said, remedy)


def leases(abandoned: Sequence[AbandonedLeases]) -> Result:
    """What dead processes held, and nobody has taken over."""
    if not abandoned:
        return ok("no object is held by a process that is gone")
    count = sum(each.count for each in abandoned)
    some = ", ".join(f"{each.owner} ({each.count}, for {shown_seconds(each.seconds)})" for each in abandoned[:_SHOWN])
    more = f" and {len(abandoned) - _SHOWN} more" if len(abandoned) > _SHOWN else ""
    return warn(
        f"{counted(count, 'object')} still held by processes that are gone: {some}{more}",
        "a process of the same service takes them over: see the checks processes and consumers",
    )


def _count(role: str, count: int | None) -> str:
    if count is None:
        return "not to be seen from here"
    return str(count) if role in _OF_QUEUE.values() else "running" if count else "none"
