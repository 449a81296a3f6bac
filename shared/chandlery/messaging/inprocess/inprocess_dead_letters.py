"""The dead letters of the in-process bus: in memory, for the life of the process."""

from collections.abc import Callable, Collection, Sequence

from chandlery.contracts.dead_letters import DeadLetter
from chandlery.contracts.messages import Message
from chandlery.contracts.topology import DEAD_LETTER_QUEUES

MOST_DEAD_LETTERS = 10_000
"""In one queue. The oldest are dropped beyond: they are for people to look at, the truth is in the database."""


class InProcessDeadLetters:
    """The `DeadLetters` of one in-process bus."""

    def __init__(self, put: Callable[[Message, str], None]) -> None:
        """`put` routes a message with this id; it raises Unavailable when the bus is closed."""
        self._put = put
        self._letters: dict[str, list[DeadLetter]] = {origin: [] for origin in DEAD_LETTER_QUEUES}

    def add(self, letter: DeadLetter) -> None:
        """Keep what was given up on."""
        kept = self._letters[letter.origin]
        kept.append(letter)
        del kept[:-MOST_DEAD_LETTERS]

    async def all(self) -> Sequence[DeadLetter]:
        return [letter for kept in self._letters.values() for letter in kept]

    async def replay(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        found = [letter for letter in await self.all() if letter.id in ids]
        replayed = [letter for letter in found if self._is_put_back(letter)]
        return self._remove(replayed)

    async def drop(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        return self._remove([letter for letter in await self.all() if letter.id in ids])

    def _is_put_back(self, letter: DeadLetter) -> bool:
        message = letter.message
        if message is None:
            return False
        self._put(message, letter.id)
        return True

    def _remove(self, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        for letter in letters:
            # The message may have failed anew by now: only the old letter goes.
            self._letters[letter.origin] = [kept for kept in self._letters[letter.origin] if kept is not letter]
        return letters
