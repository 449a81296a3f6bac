"""What to think of the service brokers: do they answer, are they left alone, are they asked for too much. Pure.

None of them is called: what workers have left in the database tells.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from chandlery.process.commands.doctor.check import Result, counted, ok, some_of, unused, warn
from chandlery.process.commands.doctor.verdicts.database_verdicts import shown_seconds
from chandlery.reconcile.reconcile_result import BROKER_LANE, broker_label
from chandlery.store.inspection.work_facts import BrokerRounds, BrokerShare, HeldCircuit

_SHOWN: Final = 3
_LONG: Final = 20.0
"""Seconds: as on the dashboard, where a service broker is red whose call has waited for so long."""
_SEVERAL: Final = 2
"""One object that is tried again may be its own fault."""


def calls(rounds: Sequence[BrokerRounds]) -> Result:
    """Service brokers that do not answer, or whose calls fail."""
    silent = [each for each in rounds if each.in_hand and each.seconds >= _LONG]
    failing = [each for each in rounds if each.tried_again >= _SEVERAL and each not in silent]
    if not silent and not failing:
        return ok("no call to a service broker takes long, and none of them fails again and again")
    told = [*(_silence(each) for each in silent), *(_failure(each) for each in failing)]
    name = broker_label([*silent, *failing][0].lane)
    chosen = f"--all-namespaces --field-selector broker={name},outcome=InProgress"
    return warn(
        some_of(told, most=_SHOWN),
        f"`kubectl get serviceinstanceoperations,servicebindingoperations {chosen}` says who waits "
        "and what was answered; docs/troubleshooting.md goes on: ChandleryBrokerHanging, or ChandleryBrokerFailing",
    )


def circuits(held: Sequence[HeldCircuit]) -> Result:
    """Service brokers that are not called because they fail."""
    if not held:
        return ok("no service broker is left alone")
    lanes: dict[str, list[HeldCircuit]] = defaultdict(list)
    for each in held:
        lanes[each.lane].append(each)
    some = ", ".join(
        f"{place_of(lane)} for {shown_seconds(max(each.opened_seconds for each in these))}"
        for lane, these in list(lanes.items())[:_SHOWN]
    )
    more = f" and {len(lanes) - _SHOWN} more" if len(lanes) > _SHOWN else ""
    return warn(
        f"calls to {counted(len(lanes), 'service broker')} are paused, because they fail: {some}{more}",
        f"`{_describe(next(iter(lanes)))}` says why; calls go on as soon as a probe is answered",
    )


def shares(brokers: Sequence[BrokerShare], *, workers: int) -> Result:
    """Brokers that say how many calls they take at a time, and workers that share these."""
    limited = [each for each in brokers if each.limit is not None]
    if not limited:
        return unused("no service broker says how many calls it takes at a time")
    narrow = [each for each in limited if (each.limit or 0) < workers]
    if not narrow:
        return ok(
            f"{counted(workers, 'worker')} for {counted(len(limited), 'service broker')} with maxConcurrentRequests"
        )
    some = ", ".join(f"{place_of(each.lane)} ({each.limit})" for each in narrow[:_SHOWN])
    return warn(
        f"{workers} workers make one call at a time each, which is more than is taken by {some}",
        "raise spec.maxConcurrentRequests of these brokers, or run fewer provisioners and binders",
    )


def place_of(lane: str) -> str:
    """Whose lane it is, for people."""
    others = {"unresolved": "no known service broker", "all": "all service brokers"}
    return broker_label(lane) or others.get(lane, lane)


def _silence(rounds: BrokerRounds) -> str:
    again = f", {rounds.tried_again:,} of them again after a call that failed" if rounds.tried_again else ""
    return (
        f"{broker_label(rounds.lane)} does not answer, or is slow: {counted(rounds.in_hand, 'object')} in hand{again}, "
        f"the oldest for {shown_seconds(rounds.seconds)}"
    )


def _failure(rounds: BrokerRounds) -> str:
    return f"{broker_label(rounds.lane)} fails, or does not answer: {counted(rounds.tried_again, 'object')} tried again"


def _describe(lane: str) -> str:
    namespace, _, name = lane.removeprefix(BROKER_LANE).partition("/")
    return (
        f"kubectl describe servicebroker {name} -n {namespace}"
        if namespace
        else f"kubectl describe clusterservicebroker {name}"
    )
