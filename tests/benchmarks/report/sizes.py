"""How much of everything a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """As the targets are worded; a smaller run says less, and is over sooner."""

    rounds: int = 3
    count: int = 500
    creators: int = 16
    singles: int = 60
    plans: tuple[int, ...] = (1_000, 10_000)
    listed: int = 10_000
    watchers: int = 200
    changes_a_second: int = 200
    change_seconds: float = 5.0
    pending: int = 10_000
    pending_seconds: float = 30.0
    stored: int = 1_000_000
    starts: int = 5
    batches: int = 12


SMALL = Sizes(
    rounds=1, count=60, singles=10, plans=(100, 1_000), listed=1_000, watchers=20, changes_a_second=50,
    change_seconds=2.0, pending=200, pending_seconds=12.0, stored=20_000, starts=2, batches=3,
)  # fmt: skip
