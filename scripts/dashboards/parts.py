"""What a dashboard is made of, as data: numbers, lines and tables in rows.

Queries are PromQL without the label `namespace`, which `rendering.py` puts into each selector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
