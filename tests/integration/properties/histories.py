"""Random histories of a whole platform: users, operators, workers and a service broker do what they like."""

import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chandlery.model.objects import kinds
from tests.integration.properties import verdicts
from tests.integration.properties.endings import ENDINGS
from tests.integration.properties.ledger import Task
from tests.integration.properties.model_broker import ModelBroker, Witness
from tests.integration.properties.world import (
    BINDING,
    BROKER,
    INSTANCE,
    SECRET,
    Store,
    World,
    binding,
    instance,
    namespace,
    registration,
)

NAMES, PLANS = ["db", "shop"], ["small", "large"]
ORDERS: list[dict[str, str]] = [
    {"retry_requested_at": ""},
    {"rotate_requested_at": ""},
    {"orphan_mitigation": "Manual"},
    {"orphan_mitigation": "Automatic"},
    {"orphan_mitigation": "Waive"},
    {"force_delete": "true"},
    {"abandon": "true"},
]
"""An empty value stands for a new one each time."""
KINDS = {"instance": INSTANCE, "binding": BINDING}
PAUSES = [1, 11, 60, 400, 3_000, 90_000, 700_000]
_BUSY = 80
"""Rounds at one moment, at most."""
MEANWHILE = [
    *["nothing"] * 14,
    "deletes",
    "changes",
    "orders",
    "deletes secret",
    "other worker comes",
    "lease runs out",
    "lease runs out",
]
EVENTS = [
    *["secret deleted"] * 3,
    *["small", "large", "small,large", "small,large"],
    *["Manual", "Automatic"],
    *["broker deleted", "broker deleted by force", "broker registered", "broker registered"],
    *["namespace deleted", "namespace created", "namespace created"],
]
"""Plans stand for a catalog of these, and an answer for the broker's policy of orphan mitigation."""
OF_BROKER = kinds.CLUSTER_SERVICE_BROKER
JOBS = st.integers(0, 3)
draws, names, kinds_desired = st.data(), st.sampled_from(NAMES), st.sampled_from(list(KINDS))


class Histories(RuleBasedStateMachine):
    """Each rule is one thing that somebody does."""

    store: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self.store.clear()
        self.world = World(self.store)
        self.ending = ""
        self.values = 0
        self._data: Any = None

    @initialize(
        ending=st.sampled_from(list(ENDINGS)),
        beginning=st.sampled_from(["nothing", "desired", "bound"]),
        is_rich=st.booleans(),
        policy=st.sampled_from([None, "Manual"]),
    )
    def opens(self, ending: str, beginning: str, is_rich: bool, policy: str | None) -> None:
        witness = Witness(self.choose, self.meanwhile, lambda: self.world.at_work[-1], self.world.may)
        self.world.open(ModelBroker(witness, is_rich=is_rich))
        self.broker, self.ending = self.world.broker, ending
        self.broker.is_kind = True
        self.world.run(self.world.create(namespace()))
        self.world.run(self.world.create(registration(orphan_mitigation=policy)))
        self._settle()
        if beginning != "nothing":
            self.world.run(self.world.create(instance("db", "small")))
            self.world.run(self.world.create(binding("db", "db")))
        if beginning == "bound":
            self._settle()
        self.broker.is_kind = False

    # People. After each word of theirs some of the work is done.

    @rule(data=draws, jobs=JOBS, name=names, to=names, plan=st.sampled_from(PLANS))
    def creates(self, data: Any, jobs: int, name: str, to: str, plan: str) -> None:
        self._do(self.world.create(instance(name, plan)))
        self._do(self.world.create(binding(name, to)))
        self._go_on(data, jobs)

    @rule(data=draws, jobs=JOBS, name=names, plan=st.sampled_from([None, *PLANS]))
    def changes(self, data: Any, jobs: int, name: str, plan: str | None) -> None:
        """The plan of an instance, or else its parameters."""
        self._do(self._changes(name, plan))
        self._go_on(data, jobs)

    @rule(data=draws, jobs=JOBS, kind=kinds_desired, name=names, order=st.sampled_from(ORDERS))
    def orders(self, data: Any, jobs: int, kind: str, name: str, order: dict[str, str]) -> None:
        self._do(self._orders(KINDS[kind], name, order))
        self._go_on(data, jobs)

    @rule(data=draws, jobs=JOBS, kind=kinds_desired, name=names)
    def deletes(self, data: Any, jobs: int, kind: str, name: str) -> None:
        self._do(self.world.delete(KINDS[kind], name))
        self._go_on(data, jobs)

    @rule(data=draws, jobs=JOBS, what=st.sampled_from(EVENTS), name=names)
    def happens(self, data: Any, jobs: int, what: str, name: str) -> None:
        """What is rarer."""
        match what:
            case "secret deleted":
                self._do(self.world.delete(SECRET, name))
            case "small" | "large" | "small,large":
                self.broker.plans = what.split(",")
                self._do(self.world.change(OF_BROKER, BROKER, relist_requests=self._new()))
            case "Manual" | "Automatic":
                self._do(self.world.change(OF_BROKER, BROKER, orphan_mitigation=what))
            case "broker deleted":
                self._do(self.world.delete(OF_BROKER, BROKER))
            case "broker deleted by force":
                self._do(self.world.annotate(OF_BROKER, BROKER, force_delete="true"))
                self._do(self.world.delete(OF_BROKER, BROKER))
            case "broker registered":
                self._do(self.world.create(registration()))
            case "namespace deleted":
                self._do(self.world.delete(kinds.NAMESPACE, "ns"))
            case "namespace created":
                self._do(self.world.create(namespace()))
        self._go_on(data, jobs)

    # Workers and time

    @rule(data=draws)
    def works(self, data: Any) -> None:
        """Some of what is due is done, now or when it is due."""
        self._go_on(data, 3)

    @rule(data=draws)
    def comes_to_rest(self, data: Any) -> None:
        """All that is due at this moment is done."""
        self._data = data
        self._settle()
        self._check()
        verdicts.check_rest(self.world)

    @rule(data=draws, jobs=JOBS, seconds=st.sampled_from(PAUSES))
    def passes_time(self, data: Any, jobs: int, seconds: int) -> None:
        self.world.pass_time(seconds)
        self._go_on(data, jobs)

    # The end

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and self.ending:
                note(f"ending: {self.ending}")
                ENDINGS[self.ending](self.world, self._settle)
                self._check()
        finally:
            if hasattr(self, "broker"):
                note("the broker's log: " + "; ".join(self.broker.log))
            self.world.close()

    # What happens in a round

    def choose(self, options: Sequence[Any], label: str) -> Any:
        names = [option.name if isinstance(option, Task) else option for option in options]
        return options[names.index(self._data.draw(st.sampled_from(names), label=label))]

    async def meanwhile(self) -> bool:
        """Something happens while a call is made. Returns whether another worker has done the work."""
        if len(self.world.at_work) > 1:
            return False
        what = self.choose(MEANWHILE, "meanwhile")
        if what == "nothing":
            return False
        uid = self.world.at_work[-1]
        task = next((task for task in self.world.ledger.tasks() if task.uid == uid), None)
        if task is None or task.object is None:
            return False
        kind, name = kinds.KINDS[task.kind], task.object.metadata.name
        match what:
            case "deletes":
                await self.world.delete(kind, name)
            case "changes" if kind is INSTANCE:
                await self._changes(name, self.choose([None, *PLANS], "plan"))
            case "orders":
                await self._orders(kind, name, self.choose(ORDERS, "order"))
            case "deletes secret":
                await self.world.delete(SECRET, name)
            case "other worker comes":
                await self.world.work(task, "second")
            case "lease runs out":
                self.world.pass_time(11)
                await self.world.work(task, "second")
                return True
        return False

    def _work(self, task: Task) -> None:
        is_slow = not self.broker.is_kind and self.choose([False, False, True], "slow")
        self.world.run(self.world.work(task, "first", is_slow=is_slow))

    def _go_on(self, data: Any, jobs: int) -> None:
        self._data = data
        for _ in range(jobs):
            if not self.world.due() and (moment := self.world.next_moment()) is not None:
                self.world.pass_time(max(0.0, (moment - self.world.now).total_seconds()) + 0.001)
            if due := self.world.due():
                self._work(self.choose(due, "task"))
        self._check()

    def _settle(self) -> None:
        for _ in range(_BUSY):
            due = self.world.due()
            if not due:
                return
            self._work(due[0] if self.broker.is_kind else self.choose(due, "task"))
        raise AssertionError(f"busy without end: {[task.name for task in self.world.due()]}; {self.broker.log[-8:]}")

    def _check(self) -> None:
        verdicts.check_now(self.world)

    def _do(self, work: Any) -> None:
        self.world.run(work)

    async def _changes(self, name: str, plan: str | None) -> None:
        if plan is None:
            await self.world.change(INSTANCE, name, parameters={"value": self._new()})
            return
        fields = {"cluster_service_plan_external_name": plan, "cluster_service_plan_ref": None}
        await self.world.change(INSTANCE, name, **fields)

    async def _orders(self, kind: kinds.Kind, name: str, order: dict[str, str]) -> None:
        await self.world.annotate(kind, name, **{key: value or str(self._new()) for key, value in order.items()})

    def _new(self) -> int:
        self.values += 1
        return self.values
