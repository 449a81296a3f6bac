"""The end of a process: asked for once it says what it waits for, asked for twice it waits no longer."""

import asyncio

import pytest
from structlog.testing import capture_logs

from chandlery.process.ending import Ending, stopping_words

GIVES_BACK = "; a second Ctrl-C or SIGTERM releases the work and ends now"


@pytest.mark.parametrize(
    ("under_way", "words"),
    [
        ([], "open requests are answered for up to 20 s; a second Ctrl-C or SIGTERM ends it now"),
        (["ServiceInstance a/b"], f"it waits up to 20 s for ServiceInstance a/b{GIVES_BACK}"),
        (
            [f"I {number}" for number in range(7)],
            f"it waits up to 20 s for I 0, I 1, I 2, I 3, I 4 and 2 more{GIVES_BACK}",
        ),
    ],
    ids=["nothing", "one", "many"],
)
def test_a_stop_says_what_it_waits_for_how_long_and_how_to_end_it(under_way: list[str], words: str) -> None:
    assert stopping_words("provisioner", under_way, 20.0) == f"provisioner is stopping: {words}"


async def test_the_first_signal_stops_and_the_second_hurries() -> None:
    ending = Ending("up", seconds=20)
    ending.listen()
    ending.under_way = {"uid": "ServiceInstance a/b"}
    with capture_logs() as logs:
        ending.ask()
        assert (ending.stop.is_set(), ending.hurry.is_set()) == (True, False)
        ending.ask()
        ending.ask()
        assert ending.hurry.is_set()

    assert [line["action"] for line in logs] == ["begin_stop", "end_now"]
    assert "ServiceInstance a/b" in logs[0]["event"]
    # A third one is the system's.
    assert not asyncio.get_running_loop().remove_signal_handler(2)
