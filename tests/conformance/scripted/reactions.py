"""What each answer of a broker leads to, by operation: the reaction matrix and the table of orphan mitigation.

A cell is the obligation (the number after OSB-) and the reaction. `reaction_scenarios.py` goes through all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_exchange import ScriptedReply
from tests.conformance.scripted.scripted_templates import BIND


class Operation(StrEnum):
    """The columns of the tables, in the order of a life."""

    PROVISION = "provision"
    BIND = "bind"
    UNBIND = "unbind"
    UPDATE = "update"
    DEPROVISION = "deprovision"

    @property
    def is_of_bindings(self) -> bool:
        """Whether its requests are about a binding."""
        return self in (Operation.BIND, Operation.UNBIND)


class Reaction(StrEnum):
    """What the broker sees next."""

    DONE = "done"
    """Nothing more: that was it."""
    POLLS = "polls"
    """A poll, and another one as long as there is no word."""
    FAILS = "fails"
    """No deletion. The same is tried again later, or when a person asks for it."""
    CLEANS = "cleans"
    """A deletion, and another creation only once that is confirmed."""
    REPEATS = "repeats"
    """The very same request again, without anybody asking for it."""
    DELETES = "deletes"
    """The deletion again, until it is confirmed."""


@dataclass(frozen=True)
class Case:
    """One cell."""

    answer: str
    operation: Operation
    obligation: str
    reaction: Reaction
    is_poll: bool = False
    """Whether it answers the poll of an accepted operation rather than the request itself."""

    def __str__(self) -> str:
        what = f"poll of {self.operation}" if self.is_poll else self.operation
        return f"OSB-{self.obligation} {what}, {self.answer}, {self.reaction}"


WHY: Final = "the moon is full"
"""What brokers give as the reason where they give one."""


def _good(status: int) -> ScriptedReply:
    def reply(seen: SeenRequest) -> Reply:
        return Reply(status, {"credentials": {"key": "value"}} if seen.template == BIND else {})

    return reply


def _refused(status: int, error: str | None = None) -> Reply:
    return Reply(status, {"description": WHY} | ({"error": error} if error else {}))


def _state(state: Any) -> Reply:
    return Reply(200, {"state": state, "description": WHY})


_HTML, _NOTHING = b"<html><p>Welcome!</p></html>", b""
ACCEPTED: Final = Reply(202, {"operation": "the key"})
SILENCE: Final = Reply(200, delay_seconds=60)

ANSWERS: Final[Mapping[str, ScriptedReply]] = {
    "200 object": _good(200),
    "200 empty": Reply(200, _NOTHING),
    "200 HTML": Reply(200, _HTML),
    "200 list": Reply(200, []),
    "201 object": _good(201),
    "201 empty": Reply(201, _NOTHING),
    "201 HTML": Reply(201, _HTML),
    "202 object": ACCEPTED,
    "202 no key": Reply(202, {}),
    "202 null key": Reply(202, {"operation": None}),
    "202 empty": Reply(202, _NOTHING),
    "202 HTML": Reply(202, _HTML),
    "202 number for a key": Reply(202, {"operation": 7}),
    "202 endless key": Reply(202, {"operation": "x" * 10_001}),
    "203": _good(203),
    "204": Reply(204, None),
    **{str(status): Reply(status, headers={"Location": "/elsewhere"}) for status in (302, 307)},
    "304": Reply(304, None),
    **{str(status): _refused(status) for status in (400, 401, 403, 404, 408, 409, 410, 412, 429)},
    "422": _refused(422),
    "422 HTML": Reply(422, _HTML),
    **{f"422 {error}": _refused(422, error) for error in ("AsyncRequired", "RequiresApp", "MaintenanceInfoConflict")},
    "422 ConcurrencyError": Reply(422, {"error": "ConcurrencyError"}),
    **{str(status): _refused(status) for status in (500, 503, 504)},
    "500 HTML": Reply(500, _HTML),
    "half an answer": Reply(201, {"dashboard_url": "http://d.test"}, cut_after_bytes=5),
    "no answer": SILENCE,
    "answer in crumbs": Reply(201, {"dashboard_url": "http://d.test"}, trickle_seconds=0.1),
}

POLL_ANSWERS: Final[Mapping[str, ScriptedReply]] = {
    **{state: _state(state) for state in ("in progress", "succeeded", "failed")},
    "no such state": _state("excellent"),
    "HTML": Reply(200, _HTML),
    **{str(status): _refused(status) for status in (404, 410, 500)},
    "204": Reply(204, None),
    "no end": _state("in progress"),
    "no answer": SILENCE,
}

_TABLE: Final = """
answer                      | provision  | update     | deprovision | bind       | unbind
200 object                  | 147 done   | 147 done   | 147 done    | 147 done   | 147 done
200 empty                   | 148 fails  | 148 fails  | 135 done    | 148 fails  | 135 done
200 HTML                    | 148 fails  | 148 fails  | 148 deletes | 148 fails  | 148 deletes
200 list                    | 148 fails  | 148 fails  | 148 deletes | 148 fails  | 148 deletes
201 object                  | 151 done   | 097 fails  | 136 deletes | 151 done   | 136 deletes
201 empty                   | 152 cleans | 097 fails  | 136 deletes | 153 cleans | 136 deletes
201 HTML                    | 152 cleans | 097 fails  | 136 deletes | 153 cleans | 136 deletes
202 object                  | 154 polls  | 154 polls  | 154 polls   | 154 polls  | 154 polls
202 no key                  | 154 polls  | 154 polls  | 154 polls   | 154 polls  | 154 polls
202 null key                | 154 polls  | 154 polls  | 154 polls   | 154 polls  | 154 polls
202 empty                   | 155 cleans | 097 fails  | 136 deletes | 156 cleans | 136 deletes
202 HTML                    | 155 cleans | 097 fails  | 136 deletes | 156 cleans | 136 deletes
202 number for a key        | 155 cleans | 097 fails  | 136 deletes | 156 cleans | 136 deletes
202 endless key             | 155 cleans | 097 fails  | 136 deletes | 156 cleans | 136 deletes
203                         | 157 cleans | 159 fails  | 157 deletes | 158 cleans | 158 deletes
204                         | 157 cleans | 159 fails  | 157 deletes | 158 cleans | 158 deletes
302                         | 170 fails  | 170 fails  | 170 deletes | 170 fails  | 170 deletes
304                         | 170 fails  | 170 fails  | 170 deletes | 170 fails  | 170 deletes
307                         | 170 fails  | 170 fails  | 170 deletes | 170 fails  | 170 deletes
400                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
401                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
403                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
404                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
408                         | 160 fails  | 160 fails  | 160 deletes | 160 fails  | 160 deletes
409                         | 081 fails  | 161 fails  | 161 deletes | 115 fails  | 161 deletes
410                         | 161 fails  | 161 fails  | 135 done    | 161 fails  | 135 done
412                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
429                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
422                         | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
422 HTML                    | 161 fails  | 161 fails  | 161 deletes | 161 fails  | 161 deletes
422 AsyncRequired           | 053 fails  | 053 fails  | 137 deletes | 053 fails  | 137 deletes
422 ConcurrencyError        | 065 repeats| 065 repeats| 137 repeats | 065 repeats| 137 repeats
422 RequiresApp             | -          | -          | -           | 107 fails  | -
422 MaintenanceInfoConflict | 078 fails  | 096 fails  | -           | -          | -
500                         | 162 cleans | 164 fails  | 162 deletes | 163 cleans | 163 deletes
500 HTML                    | 162 cleans | 164 fails  | 162 deletes | 163 cleans | 163 deletes
503                         | 162 cleans | 164 fails  | 162 deletes | 163 cleans | 163 deletes
504                         | 162 cleans | 164 fails  | 162 deletes | 163 cleans | 163 deletes
half an answer              | 169 cleans | 168 fails  | 168 deletes | 169 cleans | 168 deletes
no answer                   | 166 cleans | 168 fails  | 168 deletes | 167 cleans | 168 deletes
answer in crumbs            | 166 cleans | 168 fails  | 168 deletes | 167 cleans | 168 deletes
"""

_POLL_TABLE: Final = """
answer        | provision  | update    | deprovision | bind       | unbind
in progress   | 057 polls  | 057 polls | 057 polls   | 057 polls  | 057 polls
succeeded     | 147 done   | 147 done  | 147 done    | 147 done   | 147 done
failed        | 149 cleans | 165 fails | 149 deletes | 150 cleans | 150 deletes
410           | 059 polls  | 059 polls | 059 done    | 059 polls  | 059 done
no such state | 060 polls  | 060 polls | 060 polls   | 060 polls  | 060 polls
HTML          | 060 polls  | 060 polls | 060 polls   | 060 polls  | 060 polls
204           | 060 polls  | 060 polls | 060 polls   | 060 polls  | 060 polls
404           | 060 polls  | 060 polls | 060 polls   | 060 polls  | 060 polls
500           | 060 polls  | 060 polls | 060 polls   | 060 polls  | 060 polls
no end        | 061 cleans | 061 fails | 061 deletes | 061 cleans | 061 deletes
no answer     | 168 polls  | 168 polls | 168 polls   | 168 polls  | 168 polls
"""


def _read(table: str, *, is_poll: bool) -> tuple[Case, ...]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return tuple(
        Case(line[0], Operation(operation), cell[:3], Reaction(cell[3:].strip()), is_poll)
        for line in lines
        for operation, cell in zip(head[1:], line[1:], strict=True)
        if cell != "-"
    )


CASES: Final = (*_read(_TABLE, is_poll=False), *_read(_POLL_TABLE, is_poll=True))
LATE: Final = frozenset({"no answer", "answer in crumbs"})
"""What takes as long as the broker is given."""
ENDLESS: Final = "no end"
"""What takes as long as the plan is given."""


def reply_of(case: Case) -> ScriptedReply:
    """What the broker answers."""
    return (POLL_ANSWERS if case.is_poll else ANSWERS)[case.answer]
