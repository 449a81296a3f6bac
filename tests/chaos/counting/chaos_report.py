"""What the storms have come to, as text for people and between the markers of `docs/reliability.md`."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.run import Outcome
from tests.marked_pages import RELIABILITY, replace_between

_BEGIN, _END = "<!-- chaos: written by make chaos -->\n", "<!-- chaos: end -->\n"
_NO_FAULT: Final = "doubled"
"""Deliveries that come twice or in another order are listed and not counted: they are harmless one by one."""


@dataclass
class Report:
    """All runs so far, by platform."""

    outcomes: defaultdict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    def add(self, platform: str, outcome: Outcome) -> None:
        self.outcomes[platform].append(outcome)

    @property
    def faults(self) -> int:
        return sum(_counted(outcome) for outcomes in self.outcomes.values() for outcome in outcomes)

    @property
    def complaints(self) -> list[str]:
        return [text for outcomes in self.outcomes.values() for outcome in outcomes for text in outcome.complaints]

    def text(self) -> str:
        return f"{self._sums()}\n{self._steps()}\n{self._others()}"

    def _sums(self) -> str:
        lines = [
            "| platform | runs | objects | faults | lost | doubled | orphaned | stuck, unseen or answered 500 |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for platform, outcomes in self.outcomes.items():
            sums = [len(outcomes), sum(each.objects for each in outcomes), sum(map(_counted, outcomes))]
            sums += [
                sum(len(set(getattr(each, what))) for each in outcomes)
                for what in ("lost", "doubled", "orphaned", "odd")
            ]
            lines.append(f"| {platform} | {' | '.join(f'{count:,}' for count in sums)} |")
        return "\n".join(lines) + "\n"

    def _steps(self) -> str:
        totals = Counter({tuple(fault.split()): count for fault, count in self._totals().items()})
        steps = sorted({step for _, way, step, *_ in totals if way in _WAYS}, key=_in_order)
        lines = [f"| step: killed, halted | {' | '.join(_SERVICES)} |", f"|---|{'---|' * len(_SERVICES)}"]
        for step in steps:
            cells = [", ".join(str(totals[(service, way, step)]) for way in _WAYS) for service in _SERVICES]
            lines.append(f"| {step.replace('.', ': ')} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def _others(self) -> str:
        lines = ["| other faults | times |", "|---|---|"]
        others = Counter[str]()
        for fault, count in self._totals().items():
            if fault.split()[1] not in _WAYS:
                who, _, what = fault.partition(" ")
                others[_WORDS.get(what, f"{who} {what}")] += count
        lines += [f"| {fault} | {count:,} |" for fault, count in sorted(others.items())]
        return "\n".join(lines) + "\n"

    def _totals(self) -> Counter[str]:
        totals: Counter[str] = Counter()
        for outcomes in self.outcomes.values():
            for outcome in outcomes:
                totals.update(outcome.faults)
        return totals


_SERVICES: Final = ("gateway", "provisioner", "binder", "syncer", "up")
_WAYS: Final = ("kill", "stop")
_ORDER: Final = ("claim", "call", "record", "ack", "commit", "publish", "any")
_WORDS: Final = {
    "doubled publish": "batches of messages doubled and shuffled (not counted as faults)",
    "doubled command of each object": "command of every object sent again (not counted as faults)",
    "node killed": "RabbitMQ node killed",
    "all nodes killed": "RabbitMQ: all three nodes killed",
    "immediate restart": "PostgreSQL: immediate shutdown and restart",
}


def write_report(report: Report) -> None:
    """Replace what stands between the markers."""
    replace_between(RELIABILITY, _BEGIN, _END, report.text())


def _counted(outcome: Outcome) -> int:
    return sum(count for fault, count in outcome.faults.items() if fault.split()[1] != _NO_FAULT)


def _in_order(step: str) -> tuple[int, int]:
    part, _, moment = step.partition(".")
    return _ORDER.index(part), ("before", "within", "during", "after", "moment").index(moment)
