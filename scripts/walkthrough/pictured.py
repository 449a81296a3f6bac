"""The walk-through in a picture: a few commands as they are typed and what they print, as SVG that loads nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

COMMANDS: Final = (
    "kubectl create -f demo-broker.yaml",
    "kubectl get clusterserviceclasses",
    "kubectl create -f demo-instance.yaml",
    "kubectl get serviceinstances",
    "kubectl create -f demo-binding.yaml",
    "kubectl get servicebindings",
    "kubectl get secret demo-instance-credentials -o jsonpath='{.data.uri}' | base64 --decode",
)
"""What is typed, word for word; between two of them the object is waited for."""
WAITS: Final = {
    "kubectl create -f demo-broker.yaml": "clusterservicebroker/demo-broker",
    "kubectl create -f demo-instance.yaml": "serviceinstance/demo-instance",
    "kubectl create -f demo-binding.yaml": "servicebinding/demo-binding",
}
_LINE, _LEFT, _TOP, _COLUMN, _BOTTOM = 19, 18, 56, 8.4, 14
_BACK, _BAR, _TEXT, _PROMPT, _TYPED = "#16181d", "#23262e", "#c9ccd3", "#7bc275", "#ffffff"
_FONT: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass(frozen=True)
class Typed:
    """A command and all that it printed."""

    command: str
    printed: str


def picture(session: Sequence[Typed]) -> str:
    """A terminal with the whole session, in a picture as wide as its longest line."""
    lines = list(_lines(session))
    width = round(2 * _LEFT + _COLUMN * max(length for length, _ in lines))
    height = _TOP + _LINE * len(lines) + _BOTTOM
    dots = "".join(
        f'<circle cx="{_LEFT + 18 * number}" cy="17" r="5.5" fill="{colour}"/>'
        for number, colour in enumerate(("#e0625a", "#e0b04b", "#6fb35f"))
    )
    rows = "\n".join(
        f'<text x="{_LEFT}" y="{_TOP + _LINE * number}" xml:space="preserve">{text}</text>'
        for number, (_, text) in enumerate(lines)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>A service broker is registered, an instance is provisioned and bound, and its credentials are read</title>
<!-- Written by scripts/terminal_picture.py from a run; write it anew with: make terminal-picture -->
<rect width="{width}" height="{height}" rx="9" fill="{_BACK}"/>
<path d="M0 34V9a9 9 0 0 1 9-9h{width - 18}a9 9 0 0 1 9 9v25z" fill="{_BAR}"/>
{dots}
<g font-family="{_FONT}" font-size="14" fill="{_TEXT}">
{rows}
</g>
</svg>
"""


def _lines(session: Sequence[Typed]) -> Iterator[tuple[int, str]]:
    """Each line with its length in columns."""
    for typed in session:
        shown = f'<tspan fill="{_PROMPT}">$</tspan> <tspan fill="{_TYPED}">{escape(typed.command)}</tspan>'
        yield len(typed.command) + 2, shown
        yield from ((len(line), escape(line)) for line in typed.printed.splitlines())
