"""What is sealed on request besides Secrets: parameters, status words, and what brokers say. Names stay readable.

A field that is sealed is taken out of its part of the object (spec, status), and one sealed text stands there instead.
Annotations are sealed as a whole, for `kubectl apply` repeats the manifest in one, and so are managed fields, which
tell the names of parameters. Each part is sealed apart, as each is written by somebody else.
What is sealed is read whether or not that is still asked for, so it can be switched on and off while all is at work.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chandlery.model.faults import SealBroken
from chandlery.model.objects import kinds
from chandlery.model.objects.wire import JsonObject
from chandlery.store.sealing.sealing import Keyring, SealPlace

Path = tuple[str, ...]
Parts = dict[str, Any]
"""The parts of an object in the form they are stored in: by `SPEC`, `STATUS`, `BODY`, `ANNOTATIONS`, `MANAGED`."""

SPEC, STATUS, BODY, ANNOTATIONS, MANAGED = "spec", "status", "body", "annotations", "managedFields"
SEALED: Final = "sealed"
"""No field of a spec or a status is called so."""
SEALED_ANNOTATION: Final = "//sealed"
"""No annotation can be called so."""
_FIELDS: Final = "fields"
_EACH: Final = "*"

_MESSAGES: Path = ("conditions", _EACH, "message")
_STATUS_OF_WORK: Final = (
    _MESSAGES,
    ("lastOperation",),
    ("inProgressProperties", "parameters"),
    ("externalProperties", "parameters"),
)
FIELDS: Final[Mapping[str, Mapping[str, Sequence[Path]]]] = {
    kinds.SERVICE_INSTANCE.kind: {
        SPEC: (("parameters",),),
        STATUS: (*_STATUS_OF_WORK, ("dashboardURL",), ("defaultProvisionParameters",), ("brokerMetadata",)),
    },
    kinds.SERVICE_BINDING.kind: {SPEC: (("parameters",), ("secretTransforms",)), STATUS: _STATUS_OF_WORK},
    kinds.CLUSTER_SERVICE_BROKER.kind: {STATUS: (_MESSAGES,)},
    kinds.SERVICE_BROKER.kind: {STATUS: (_MESSAGES,)},
    kinds.EVENT.kind: {BODY: (("message",),)},
}
"""Kind -> part -> the fields that are sealed."""
_WITH_MANIFEST: Final = frozenset({kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind})


class SpecSeals:
    """Seals and opens the parts of objects."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def are_wanted(self, kind: str) -> bool:
        """Whether objects of this kind are to have something sealed."""
        return self._keyring.seals_specs and kind in FIELDS

    def sealed(self, kind: str, parts: Parts, at: SealPlace) -> Parts:
        """Parts as they are stored; raises DataKeyNeeded. Of the object's place `at` the first word does not count."""
        done: Parts = {part: self._seal_fields(kind, part, parts.get(part), at) for part in FIELDS[kind]}
        if kind in _WITH_MANIFEST:
            if annotations := parts.get(ANNOTATIONS):
                done[ANNOTATIONS] = {SEALED_ANNOTATION: self._seal(annotations, kind, ANNOTATIONS, at)}
            if managed := parts.get(MANAGED):
                done[MANAGED] = f"{SEALED_ANNOTATION}:{self._seal({MANAGED: managed}, kind, MANAGED, at)}"
        return {**parts, **done}

    def opened(self, kind: str, parts: Parts, at: SealPlace) -> Parts:
        """The inverse, for parts that may or may not be sealed; raises SealBroken, DataKeyNeeded."""
        if not any(True for _ in sealed_texts(parts)):
            return parts
        done = dict(parts)
        for part, body in parts.items():
            if part in (SPEC, STATUS, BODY) and body and SEALED in body:
                rest = {name: value for name, value in body.items() if name != SEALED}
                done[part] = _put_back(rest, self._open(body[SEALED], kind, part, at)[_FIELDS])
        if text := _sealed_annotations(parts.get(ANNOTATIONS)):
            done[ANNOTATIONS] = self._open(text, kind, ANNOTATIONS, at)
        if text := _sealed_managed(parts.get(MANAGED)):
            done[MANAGED] = self._open(text, kind, MANAGED, at)[MANAGED]
        return done

    def is_as_wanted(self, kind: str, parts: Parts) -> bool:
        """Whether sealing these anew would change nothing: all that is to be sealed is so, with the newest data key."""
        texts = list(sealed_texts(parts))
        if not self.are_wanted(kind):
            return not texts
        is_bare = any(_take_out(parts.get(part) or {}, paths)[1] for part, paths in FIELDS[kind].items())
        if kind in _WITH_MANIFEST:
            annotations, managed = parts.get(ANNOTATIONS), parts.get(MANAGED)
            is_bare = is_bare or bool(annotations and not _sealed_annotations(annotations))
            is_bare = is_bare or bool(managed and not _sealed_managed(managed))
        return not is_bare and all(self._keyring.seals_like(text, exactly=True) for text in texts)

    def _seal_fields(self, kind: str, part: str, body: JsonObject | None, at: SealPlace) -> JsonObject | None:
        rest, taken = _take_out(body or {}, FIELDS[kind][part])
        return {**rest, SEALED: self._seal({_FIELDS: taken}, kind, part, at)} if taken else body

    def _seal(self, document: JsonObject, kind: str, part: str, at: SealPlace) -> str:
        return self._keyring.seal(document, bound_to=_place(kind, part, at))

    def _open(self, text: str, kind: str, part: str, at: SealPlace) -> JsonObject:
        try:
            return self._keyring.open(text, bound_to=_place(kind, part, at))
        except SealBroken as fault:
            raise SealBroken(f'the {kind} "{at.namespace}/{at.name}" cannot be read: {fault.message}') from None


def sealed_texts(parts: Parts) -> Iterator[str]:
    """All that is sealed in these."""
    for part in (SPEC, STATUS, BODY):
        body = parts.get(part)
        if body and SEALED in body:
            yield str(body[SEALED])
    for text in (_sealed_annotations(parts.get(ANNOTATIONS)), _sealed_managed(parts.get(MANAGED))):
        if text:
            yield text


def _place(kind: str, part: str, at: SealPlace) -> SealPlace:
    return SealPlace(f"{kind} {part}", at.namespace, at.name, at.uid)


def _sealed_annotations(annotations: Any) -> str:
    return str(annotations[SEALED_ANNOTATION]) if annotations and SEALED_ANNOTATION in annotations else ""


def _sealed_managed(managed: str | None) -> str:
    mark = f"{SEALED_ANNOTATION}:"
    return managed.removeprefix(mark) if managed and managed.startswith(mark) else ""


def _take_out(body: JsonObject, paths: Sequence[Path]) -> tuple[JsonObject, list[list[Any]]]:
    """The body without these fields, and where they were and what they held. Empty ones stay. Changes nothing."""
    taken: list[list[Any]] = []
    for path in paths:
        body = _without(body, path, (), taken)
    return body, taken


def _without(body: Any, path: Path, at: tuple[str | int, ...], taken: list[list[Any]]) -> Any:
    name, *rest = path
    if name == _EACH:
        return [_without(each, tuple(rest), (*at, place), taken) for place, each in enumerate(body or ())]
    if not isinstance(body, dict) or not body.get(name):
        return body
    if not rest:
        taken.append([[*at, name], body[name]])
        return {key: value for key, value in body.items() if key != name}
    return {**body, name: _without(body[name], tuple(rest), (*at, name), taken)}


def _put_back(body: JsonObject, taken: Sequence[Sequence[Any]]) -> JsonObject:
    """The body with the fields where they were. It may share what it holds, and is not changed."""
    whole: Any = body
    for path, value in taken:
        whole = _with(whole, path, value)
    restored: JsonObject = whole
    return restored


def _with(body: Any, path: Sequence[str | int], value: Any) -> Any:
    if not path:
        return value
    name, *rest = path
    if isinstance(name, int):
        return [_with(each, rest, value) if place == name else each for place, each in enumerate(body)]
    return {**body, name: _with(body.get(name), rest, value)}
