"""What is asked for: the floor and the goal of each row, and what commit 5b1fe1b was measured at when they were set."""

from dataclasses import dataclass
from typing import Final, Literal

BASELINE: Final = "5b1fe1b"
Kind = Literal["times", "at most"]
Which = Literal["floor", "goal"]


@dataclass(frozen=True)
class Target:
    """For one row. `times` is a ratio to the baseline measured in the same run; `at most` is a figure of its own."""

    title: str
    unit: str
    kind: Kind
    floor: float | None = None
    goal: float | None = None
    baseline: float | None = None

    def met(self, value: float, ratio: float | None = None) -> str:
        """`goal`, `floor`, `no` for neither, `?` where it cannot be told, or nothing where nothing is asked for.

        `ratio` is to the baseline, measured in the same run.
        """
        if self.floor is None and self.goal is None:
            return ""
        if ratio is None and self.kind == "times":
            return "?"
        return next((name for name in ("goal", "floor") if self._holds(value, ratio, name)), "no")

    def asked(self, which: Which, *, beside_baseline: bool = False) -> str:
        """In words for a table; a figure of its own is also a ratio where the baseline is measured beside it."""
        bound = self.floor if which == "floor" else self.goal
        if bound is None:
            return ""
        if self.kind == "times":
            return f"{bound:g} times"
        factor = f", {bound / self.baseline:.2f} times" if beside_baseline and self.baseline else ""
        return f"{bound:g} {self.unit}{factor}"

    def _holds(self, value: float, ratio: float | None, name: str) -> bool:
        bound = self.floor if name == "floor" else self.goal
        if bound is None:
            return False
        if self.kind == "times":
            return ratio is not None and ratio >= bound
        # A faster machine meets any figure: it has to be as much better than the baseline as was asked for, too.
        is_better = ratio is None or self.baseline is None or ratio <= bound / self.baseline
        return value <= bound and is_better


def _times(title: str, floor: float, goal: float, baseline: float | None = None) -> Target:
    return Target(title, "/s", "times", floor, goal, baseline)


def _at_most(title: str, unit: str, floor: float | None, goal: float | None, baseline: float | None = None) -> Target:
    return Target(title, unit, "at most", floor, goal, baseline)


TARGETS: Final[dict[str, Target]] = {
    "servers/instances_ready": _times("instances to Ready", 2.5, 4, 74),
    "servers/instances_accepted": _times("creates of instances accepted", 2.5, 5, 193),
    "servers/instances_cpu_ms": _at_most("CPU per instance, all processes", "ms", 9, 6, 21),
    "servers/bindings_ready": _times("bindings to Ready, Secret readable", 3, 6, 51),
    "servers/bindings_accepted": _times("creates of bindings accepted", 2.5, 5, 126),
    "servers/bindings_cpu_ms": _at_most("CPU per binding, all processes", "ms", 11, 7, 32),
    "servers/bindings_gone": Target("bindings gone", "/s", "times"),
    "servers/instances_gone": _times("instances gone", 2.5, 4),
    "servers/instances_gone_cpu_ms": Target("CPU per instance deleted", "ms", "at most"),
    "servers/bindings_gone_cpu_ms": Target("CPU per binding deleted", "ms", "at most"),
    "servers/idle_p50_ms": _at_most("idle, POST to Ready on a watch, p50", "ms", 25, 12, 54),
    "servers/idle_p99_ms": _at_most("idle, POST to Ready on a watch, p99", "ms", 60, 30, 101),
    "embedded/instances_ready": _times("instances to Ready", 2.5, 4, 63),
    "embedded/instances_accepted": _times("creates of instances accepted", 4, 8, 72),
    "embedded/instances_cpu_ms": _at_most("CPU per instance", "ms", 6, 4, 14),
    "embedded/bindings_ready": _times("bindings to Ready, Secret readable", 4, 8, 34),
    "embedded/bindings_accepted": _times("creates of bindings accepted", 4, 8, 36),
    "embedded/bindings_cpu_ms": _at_most("CPU per binding", "ms", 8, 5, 26),
    "embedded/bindings_gone": Target("bindings gone", "/s", "times"),
    "embedded/instances_gone": _times("instances gone", 2.5, 4),
    "embedded/instances_gone_cpu_ms": Target("CPU per instance deleted", "ms", "at most"),
    "embedded/bindings_gone_cpu_ms": Target("CPU per binding deleted", "ms", "at most"),
    "embedded/idle_p50_ms": _at_most("idle, POST to Ready on a watch, p50", "ms", 25, 12, 58),
    "embedded/idle_p99_ms": _at_most("idle, POST to Ready on a watch, p99", "ms", 60, 30),
    "servers/instances_statements": Target("statements per instance", "", "at most"),
    "servers/instances_round_trips": Target("round trips to PostgreSQL per instance", "", "at most"),
    "servers/bindings_statements": Target("statements per binding", "", "at most"),
    "servers/bindings_round_trips": Target("round trips to PostgreSQL per binding", "", "at most"),
    "servers/first_sync_1000_s": _at_most("first sync of 1,000 plans", "s", 0.5, 0.3),
    "servers/first_sync_10000_s": _at_most("first sync of 10,000 plans", "s", 6, 3),
    "servers/relist_1000_ms": _at_most("relist of 1,000 unchanged plans on request", "ms", 100, 20),
    "servers/relist_1000_clock_ms": _at_most("relist of 1,000 unchanged plans by the clock, 304: CPU", "ms", 100, 20),
    "servers/page_json_cpu_ms": _at_most("page of 500 of 10,000 instances, JSON: CPU", "ms", 60, 20),
    "servers/page_table_cpu_ms": _at_most("page of 500 of 10,000 instances, Table: CPU", "ms", 60, 20),
    "servers/fan_out_p99_ms": _at_most("200 watchers, 200 changes/s: p99 to the last", "ms", 250, 100),
    "servers/pending_lag_p99_s": _at_most("10,000 pending operations polled every 10 s: lag p99", "s", 2, None),
    "servers/pending_cores": _at_most("10,000 pending operations: cores busy", "cores", None, 0.5),
    "servers/memory_gateway_mb": _at_most("memory (PSS) of the gateway, 1,000 objects", "MB", 110, 90),
    "servers/memory_worker_mb": _at_most("memory (PSS) of the largest worker, 1,000 objects", "MB", 80, 60),
    "embedded/memory_up_mb": Target("memory (PSS) of the all-in-one, 1,000 objects", "MB", "at most"),
    "embedded/memory_filled_mb": _at_most("memory (PSS) of the all-in-one, 10,000 instances", "MB", None, 150),
    "command/help_s": _at_most("`chandlery --help`", "s", 0.3, 0.15),
    "embedded/start_s": _at_most("`chandlery up`, empty folder, to ready", "s", 2, 1),
    "servers/start_s": Target("four processes at once to ready", "s", "at most"),
    "servers/stored_cpu_ratio": _at_most("CPU per instance, 1,000,000 stored against 1,000", "times", 1.3, 1.1),
    "servers/stored_time_ratio": Target("time of 200 instances, 1,000,000 stored against 1,000", "times", "at most"),
    "servers/isolation_ratio": _at_most("20 healthy while 1,000 hang, against alone", "times", 1.1, 1.05),
}
