"""`chandlery deadletters` as an operator runs it, on real dead letters."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from chandlery.contracts.messages import Reconcile
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, command, letters_in

INSTANCES = ("ServiceInstance",)
PATIENT_SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """What a run of the command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def run(rig: RabbitRig, *arguments: str, typed: str = "", url: str = "") -> Ended:
    """`chandlery deadletters …` against the rig's installation."""
    given = {"CHANDLERY_AMQP_URL": url or rig.url, "CHANDLERY_AMQP_PREFIX": rig.prefix}
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("CHANDLERY_")}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("chandlery"),
        "deadletters",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=surroundings | given,
    )
    async with asyncio.timeout(PATIENT_SECONDS):
        out, err = await process.communicate(typed.encode())
    assert "Traceback" not in err.decode()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def give_up_on(rig: RabbitRig, *messages: Reconcile) -> list[str]:
    """Make dead letters of these; all ids that there are then, in the order of the queues."""
    kinds = tuple({message.kind for message in messages})
    subscription = await rig.bus.consume(kinds, rig.lane, Recorder(fails=lambda _: True), concurrency=1)
    await rig.bus.publish(messages)
    letters = await letters_in(rig, len(messages))
    await subscription.close()
    return [letter.id for letter in letters]


async def test_list_is_a_table_of_what_was_given_up_on(rabbit: RabbitRig) -> None:
    ids = await give_up_on(rabbit, command(1), command(2, kind="ServiceBinding"))

    ended = await run(rabbit, "list")

    heading, binding, instance = (line.split() for line in ended.out.splitlines())
    assert heading == ["QUEUE", "ID", "KIND", "OBJECT", "REASON", "DELIVERIES", "AGE"]
    assert binding[:6] == [
        "binder.binding.reconcile.dead",
        ids[0][:12],
        "ServiceBinding",
        "uid-2",
        "HandlerFailed",
        "3",
    ]
    assert instance[0] == "provisioner.instance.reconcile.dead"
    assert (ended.status, ended.err) == (0, "")


async def test_list_as_json_has_all_facts_and_may_be_narrowed_to_a_queue(rabbit: RabbitRig) -> None:
    ids = await give_up_on(rabbit, command(1), command(2, kind="ServiceBinding"))

    [letter] = (await run(rabbit, "list", "--queue", "provisioner", "-o", "json")).json

    assert letter["id"] == ids[1]
    assert (letter["kind"], letter["object"], letter["lane"]) == ("ServiceInstance", "uid-1", "lane-1")
    assert (letter["reason"], letter["error"], letter["deliveries"]) == ("HandlerFailed", "LookupError", 3)
    assert letter["from"] == f"provisioner.instance.reconcile.{rabbit.lane}"
    assert letter["firstAt"] <= letter["lastAt"]
    assert (await run(rabbit, "list", "--queue", "syncer", "-o", "json")).json == []


async def test_list_says_so_when_there_is_nothing(rabbit: RabbitRig) -> None:
    assert await run(rabbit, "list") == Ended(0, "", "There are no dead letters.\n")
    assert (await run(rabbit, "list", "-o", "json")).json == []


async def test_show_tells_of_one_letter_and_its_body_only_when_asked(rabbit: RabbitRig) -> None:
    await rabbit.bus.publish([command(1)])
    await rabbit.publish_raw(b'{"password": "hunter2"}')
    subscription = await rabbit.bus.consume(INSTANCES, rabbit.lane, Recorder(), concurrency=1)
    [letter] = await letters_in(rabbit, 1)
    await subscription.close()

    plain = await run(rabbit, "show", letter.id[:8])
    full = await run(rabbit, "show", letter.id, "--body")
    everything = await run(rabbit, "show", letter.id, "--body", "-o", "json")

    assert "reason:" in plain.out and "Unreadable" in plain.out and "UnreadableMessage" in plain.out
    assert "hunter2" not in plain.out
    assert full.out.endswith('{"password": "hunter2"}\n')
    assert everything.json["body"] == '{"password": "hunter2"}'


async def test_replay_puts_one_or_all_back(rabbit: RabbitRig) -> None:
    ids = await give_up_on(rabbit, *(command(number) for number in range(3)))

    one = await run(rabbit, "replay", ids[1])
    assert (one.status, one.out) == (0, "1 replayed\n")
    assert [letter.id for letter in await rabbit.letters.all()] == [ids[0], ids[2]]
    rest = await run(rabbit, "replay", "--all")
    assert (rest.status, rest.out) == (0, "2 replayed\n")

    assert await rabbit.letters.all() == []
    assert await rabbit.depth(rabbit.work_queue()) == 3


async def test_drop_removes_nothing_unless_it_is_confirmed(rabbit: RabbitRig) -> None:
    await give_up_on(rabbit, *(command(number) for number in range(4)))

    refused = await run(rabbit, "drop", "--all", typed="n\n")
    unasked = await run(rabbit, "drop", "--all")
    assert (refused.status, unasked.status) == (1, 1)
    assert "Remove 4 dead letters permanently?" in refused.err
    assert len(await rabbit.letters.all()) == 4


async def test_drop_removes_one_or_all_when_it_is_confirmed(rabbit: RabbitRig) -> None:
    ids = await give_up_on(rabbit, *(command(number) for number in range(4)))

    assert (await run(rabbit, "drop", ids[0], typed="y\n")).out == "1 removed\n"
    assert (await run(rabbit, "drop", ids[2], ids[3], "--yes")).out == "2 removed\n"
    assert [letter.id for letter in await rabbit.letters.all()] == [ids[1]]
    assert (await run(rabbit, "drop", "--all", "--yes")).out == "1 removed\n"
    assert (await run(rabbit, "drop", "--all")).out == "0 removed\n"


@pytest.mark.parametrize("verb", ["replay", "drop"])
async def test_what_is_meant_has_to_be_said(rabbit: RabbitRig, verb: str) -> None:
    for arguments in ((), ("some-id", "--all")):
        ended = await run(rabbit, verb, *arguments)
        assert ended.status == 2
        assert "Name the dead letters by their ids, or use --all." in ended.err


async def test_id_that_means_none_or_several_is_refused(rabbit: RabbitRig) -> None:
    await give_up_on(rabbit, command(1), command(2))

    none = await run(rabbit, "show", "nothing")
    several = await run(rabbit, "drop", "", "--yes")

    assert (none.status, none.err) == (1, "chandlery: There is no dead letter whose id begins with 'nothing'.\n")
    assert several.status == 1
    assert "2 dead letters have ids that begin with ''; use a longer prefix." in several.err
    assert len(await rabbit.letters.all()) == 2


@pytest.mark.parametrize("verb", ["list", "show x", "replay --all", "drop --all --yes"])
async def test_bus_that_is_away_is_one_sentence_without_the_password(
    rabbit: RabbitRig, cable: Cable, verb: str
) -> None:
    cable.cut()

    ended = await run(rabbit, *verb.split(), url=cable.url)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"chandlery: RabbitMQ at 127.0.0.1:{URL(cable.url).port} cannot be reached: ")
    assert ended.err.count("\n") == 1
    assert str(URL(cable.url).password) not in ended.err


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "http://u:hunter2@h/",
            "CHANDLERY_AMQP_URL cannot be read; it looks like amqp[s]://user:password@host:port/vhost",
        ),
        ("memory:", "the message bus is memory:, which keeps dead letters only in the log of its process"),
    ],
)
async def test_bus_that_cannot_be_asked_is_a_wrong_setting(rabbit: RabbitRig, url: str, expected: str) -> None:
    assert await run(rabbit, "list", url=url) == Ended(2, "", f"chandlery: {expected}\n")
