"""What a dashboard is made of, as data: numbers, lines and tables in rows.

Queries are PromQL without the label `namespace`, which `rendering.py` puts into each selector. `rates`, `growth` and
`values` make the graphs of one metric by some of its labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack

from dashboards.queries import RATE, grown

SECONDS: Final = "s"
SHARE: Final = "percentunit"
BYTES: Final = "bytes"
PER_SECOND: Final = "ops"
COUNT: Final = "short"
MOMENT: Final = "dateTimeFromNow"

NUMBER_WIDTH: Final = 3
LINES_WIDTH: Final = 8
WHOLE_WIDTH: Final = 24


@dataclass(frozen=True)
class Steps:
    """From where on a value is yellow and red. If `red` is the smaller one, low values are the bad ones."""

    yellow: float
    red: float

    @property
    def is_low_bad(self) -> bool:
        """Whether a value gets worse as it falls."""
        return self.red < self.yellow


@dataclass(frozen=True, kw_only=True)
class Number:
    """One value, large, on green, yellow or red."""

    title: str
    asks: str
    expr: str
    unit: str = COUNT
    steps: Steps | None = None
    none: str = "0"
    """What stands there when the query finds nothing."""
    width: int = NUMBER_WIDTH
    link: str = ""
    """The dashboard that a click opens."""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A graph over time: a query for each legend, which may name labels as `{{label}}`."""

    title: str
    asks: str
    exprs: Mapping[str, str]
    unit: str = COUNT
    steps: Steps | None = None
    is_stacked: bool = False
    width: int = LINES_WIDTH


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A column of a table."""

    title: str
    expr: str
    unit: str = COUNT
    steps: Steps | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A line for each value of some labels, as it is now; `worst` names the column that it is sorted by."""

    title: str
    asks: str
    labels: Mapping[str, str]
    """Label -> title of its column."""
    cells: tuple[Cell, ...]
    worst: str
    link: str = ""
    """The dashboard that a click on the first label opens, for that value of it."""
    width: int = WHOLE_WIDTH
    height: int = 8


Panel = Number | Lines | Table


class Look(TypedDict, total=False):
    """What a graph may have besides; see `Lines`."""

    unit: str
    steps: Steps
    is_stacked: bool


def rates(title: str, asks: str, *, of: str, by: str, legend: str = "", **look: Unpack[Look]) -> Lines:
    """How often something happens each second: a counter by these labels, which the legend names if nothing else."""
    exprs = {legend or _legend(by): f"sum by ({by}) (rate({of}{RATE}))"}
    look.setdefault("unit", PER_SECOND)
    return Lines(title=title, asks=asks, exprs=exprs, **look)


def growth(title: str, asks: str, *, of: str, by: str, over: str, **look: Unpack[Look]) -> Lines:
    """How often something that is rare has happened in such a time: a counter by these labels."""
    return Lines(title=title, asks=asks, exprs={_legend(by): f"sum by ({by}) ({grown(of, over)})"}, **look)


def values(title: str, asks: str, *, of: str, by: str, how: str, legend: str = "", **look: Unpack[Look]) -> Lines:
    """A gauge by these labels; `how` says what becomes of several that have the same: `max`, `min`, `sum`."""
    return Lines(title=title, asks=asks, exprs={legend or _legend(by): f"{how} by ({by}) ({of})"}, **look)


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by.split(", "))


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What the reader chooses at the top: a value of a label, of those that a metric has."""

    name: str
    title: str
    of: str
    """A selector; the label is called as the variable unless `label` says otherwise."""
    label: str = ""
    has_all: bool = True


ITS_NAMESPACE: Final = Variable(name="namespace", title="Namespace", of="chandlery_build_info")
"""Every dashboard begins with it."""


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """One of the four."""

    uid: str
    title: str
    asks: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


OVERVIEW: Final = "chandlery-overview"
BROKER: Final = "chandlery-broker"
PROCESS: Final = "chandlery-process"
MESSAGING: Final = "chandlery-messaging-store"
