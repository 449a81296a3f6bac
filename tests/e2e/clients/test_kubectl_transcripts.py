"""What stock kubectl prints, word for word: every file in `kubectl_transcripts/`, on both forms, with both kubectls.

`make kubectl-transcripts` writes the answers anew; read every line of the difference before you commit it.
"""

import difflib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.clients.transcript_player import TranscriptPlayer
from tests.e2e.clients.transcripts import Answer, Step, parsed, recorded, written
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import KubectlChoice
from tests.e2e.stacks.stacks import Stack
from tests.support.selection import IS_BRIEF

TRANSCRIPTS: Final = sorted((Path(__file__).parent / "kubectl_transcripts").glob("*.txt"))
ACCEPT: Final = bool(os.environ.get("CHANDLERY_TEST_ACCEPT_TRANSCRIPTS"))
RECORDED: Final = {"1.20", "1.32"}
"""The versions whose words are known. Of another one on PATH only the exit codes are compared."""
_CHOICES: Final[tuple[KubectlChoice, ...]] = ("debian", "any")
_LETTERS: Final = itertools.product("bcdfghjklmnpqrstvwxz", repeat=2)


def _players(stack: Stack, folder: Path, transcript: Path) -> dict[str, TranscriptPlayer]:
    """One for each version there is, each with a namespace of its own; the names are of one length.

    In brief, the versions take turns with the transcripts.
    """
    players: dict[str, TranscriptPlayer] = {}
    turn = TRANSCRIPTS.index(transcript) % len(_CHOICES)
    for choice in _CHOICES[turn : turn + 1] if IS_BRIEF else _CHOICES:
        namespace = "qt" + "".join(next(_LETTERS))
        status, body = stack.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert status == 201, body
        player = TranscriptPlayer(stack.kubectl(choice), namespace=namespace, folder=folder / choice)
        players[player.version] = player
    return players


def _differences(steps: list[Step], answers: list[Answer], version: str) -> list[str]:
    found: list[str] = []
    for step, answer in zip(steps, answers, strict=True):
        expected = step.answers.get(version, step.answers.get("", answer))
        if version not in RECORDED and answer.code in {one.code for one in step.answers.values()}:
            continue
        if expected != answer:
            diff = difflib.unified_diff(expected.lines, answer.lines, "expected", f"kubectl {version}", lineterm="")
            found += ["", f"$ {step.script}", *diff]
    return found


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=[path.stem for path in TRANSCRIPTS])
def test_kubectl_prints_what_it_prints_against_an_api_server(
    shop: Stack, demo_broker: DemoBroker, transcript: Path, tmp_path: Path
) -> None:
    steps = parsed(transcript.read_text())

    def play(player: TranscriptPlayer) -> list[Answer]:
        return [player.play(step, BROKER=demo_broker.url) for step in steps]

    players = _players(shop, tmp_path, transcript)
    with ThreadPoolExecutor(len(players)) as pool:
        answers = dict(zip(players, pool.map(play, players.values()), strict=True))
    if ACCEPT:
        each = [{version: given[at] for version, given in answers.items()} for at in range(len(steps))]
        transcript.write_text(written([recorded(step, given) for step, given in zip(steps, each, strict=True)]))
        return
    found = [line for version, given in answers.items() for line in _differences(steps, given, version)]
    assert not found, "\n".join(found)
