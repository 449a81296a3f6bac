"""Changes of objects that take long to compute: beside the event loop, and before the transaction rather than in it.

`object_writer` wraps every change in a `PreparedMutation`. What is small is computed where it is wanted. For what is
not, the transaction is given up, the change computed from the object that was found, and the transaction begun again;
if the object is another one by then, so is the change.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from chandlery.model.faults import Fault
from chandlery.model.objects.kinds import AnyObject
from chandlery.process.aside import aside
from chandlery_gateway.write.write_requests import Mutation

_MANY_VALUES: Final = 400
_MANY_CHARACTERS: Final = 64 * 1024

Result = tuple[AnyObject, tuple[str, ...]]


class NotPrepared(Exception):
    """The change of this object has to be computed first."""

    def __init__(self, document: AnyObject) -> None:
        super().__init__()
        self.document = document


class PreparedMutation:
    """A change that is not computed within a transaction if it is dear."""

    def __init__(self, change: Mutation, *, is_dear: bool) -> None:
        """`is_dear` says so of the change itself; that of a large object is dear in any case."""
        self._change = change
        self._is_dear = is_dear
        self._version: str | None = None
        self._outcome: Result | Fault | None = None

    def __call__(self, document: AnyObject) -> Result:
        """As the change itself; raises NotPrepared."""
        if self._outcome is not None and self._version == _version(document):
            if isinstance(self._outcome, Fault):
                raise self._outcome
            return self._outcome
        if self._is_dear or is_large(document):
            raise NotPrepared(document)
        return self._change(document)

    async def prepare(self, document: AnyObject) -> None:
        """Compute the change of this object. What is wrong with it is told when it is wanted."""
        try:
            self._outcome = await aside(lambda: self._change(document))
        except Fault as fault:
            self._outcome = fault
        self._version = _version(document)


def prepared_change(change: Mutation) -> PreparedMutation:
    """The change, able to be prepared."""
    return change if isinstance(change, PreparedMutation) else PreparedMutation(change, is_dear=False)


def is_large(document: AnyObject) -> bool:
    """Whether the object has so much in it that working with it takes milliseconds."""
    characters = 0
    for values, value in enumerate(_values(document), start=1):
        if isinstance(value, str):
            characters += len(value)
        if values > _MANY_VALUES or characters > _MANY_CHARACTERS:
            return True
    return False


def _values(document: BaseModel) -> Iterator[Any]:
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, BaseModel):
            waiting.extend(each for each in value.__dict__.values() if each is not None)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)


def _version(document: AnyObject) -> str:
    return f"{document.metadata.uid} {document.metadata.resource_version}"
