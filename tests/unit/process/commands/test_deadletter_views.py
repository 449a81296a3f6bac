"""Dead letters as a table, in full and as JSON."""

from datetime import UTC, datetime, timedelta

import pytest

from chandlery.contracts.dead_letters import DeadLetter, History, Reason
from chandlery.contracts.messages import LaneOpened, Reconcile, encode
from chandlery.process.commands.deadletter_views import age, as_json, as_sheet, as_table

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COMMAND = encode(Reconcile(kind="ServiceInstance", uid="u-1", lane="broker:/demo"))


def letter(body: bytes = COMMAND, *, queue: str = "provisioner.instance.reconcile.broker:/demo") -> DeadLetter:
    return DeadLetter(
        id="0123456789abcdef",
        queue=queue,
        routing_key=queue,
        body=body,
        reason=Reason.HANDLER_FAILED,
        history=History(deliveries=5, failures=3, error="LookupError", first_at=NOW - timedelta(hours=3)),
        last_at=NOW - timedelta(hours=2, minutes=59),
    )


def test_table_has_one_line_for_each_letter_with_columns_below_each_other() -> None:
    event = letter(encode(LaneOpened(lane="a")), queue="chandlery.events.x")
    lines = as_table([letter(), event], now=NOW).splitlines()
    assert [line.split() for line in lines] == [
        ["QUEUE", "ID", "KIND", "OBJECT", "REASON", "DELIVERIES", "AGE"],
        ["provisioner.instance.reconcile.dead", "0123456789ab", "ServiceInstance", "u-1", "HandlerFailed", "5", "2h"],
        ["chandlery.events.dead", "0123456789ab", "<none>", "<none>", "HandlerFailed", "5", "2h"],
    ]
    assert len({line.index(cell) for line, cell in zip(lines, ("ID", "0123", "0123"), strict=True)}) == 1
    assert len({line.index(cell) for line, cell in zip(lines, ("AGE", "2h", "2h"), strict=True)}) == 1


def test_json_has_every_fact_and_no_body() -> None:
    assert as_json(letter()) == {
        "queue": "provisioner.instance.reconcile.dead",
        "id": "0123456789abcdef",
        "from": "provisioner.instance.reconcile.broker:/demo",
        "type": "Reconcile",
        "kind": "ServiceInstance",
        "object": "u-1",
        "lane": "broker:/demo",
        "reason": "HandlerFailed",
        "error": "LookupError",
        "deliveries": 5,
        "failures": 3,
        "firstAt": "2026-11-22T09:00:00Z",
        "lastAt": "2026-11-22T09:01:00Z",
        "trace": "",
        "bytes": len(COMMAND),
    }


def test_sheet_leaves_out_what_is_not_known() -> None:
    lines = as_sheet(letter(b"\xffpassword")).splitlines()
    assert "id:         0123456789abcdef" in lines
    assert not [line for line in lines if line.startswith(("trace", "kind", "type"))]


def test_sheet_shows_a_body_that_is_no_text_when_it_is_asked_for() -> None:
    assert "password" not in as_sheet(letter(b"\xffpassword"))
    assert as_sheet(letter(b"\xffpassword"), body=True).endswith("\n\n\\xffpassword")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (2 * 86400 - 1, "47h"),
        (10 * 86400, "10d"),
    ],
)
def test_age_is_in_the_unit_that_says_enough(seconds: int, shown: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), now=NOW) == shown


def test_age_that_nobody_knows_is_none() -> None:
    assert age(None, now=NOW) == "<none>"


def test_what_anybody_may_have_put_on_the_bus_steers_no_terminal() -> None:
    hostile = letter(
        b"\x1b]0;title\x07\x1b[2Jsaid\n\xe2\x80\xaeover", queue="provisioner.instance.reconcile.\x1b[31mred"
    )
    for text in (as_table([hostile], now=NOW), as_sheet(hostile, body=True)):
        assert all(line.isprintable() for line in text.splitlines())
    assert as_sheet(hostile, body=True).endswith("\n\nsaid\nover")
