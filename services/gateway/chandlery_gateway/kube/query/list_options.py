"""What the query of a list or watch says besides its selectors: pages, versions, bookmarks, time.

Rules and words are those of Kubernetes' `ListOptions` (apimachinery, `metav1/validation`), which a fault names.
"""

from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import BadRequest, Expired, Fault, FieldProblem
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.query.request_options import InvalidOptions, Query

TOO_LARGE_CAUSE: Final = "ResourceVersionTooLarge"


class ContinueExpired(Expired):
    """The continue token is too old to show the rest of the same list.

    List again without it, or go on with the token in this answer: the rest is then as it is now, and what was written
    since the first page may be missing or come twice.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__(" ".join((self.__doc__ or "").split()))


class VersionTooLarge(Fault):
    """The resource version is larger than any that exists yet."""

    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"Timeout: Too large resource version: {asked}, current: {current}")

    @property
    def causes(self) -> list[JsonObject]:
        """What clients recognise it by; client-go then lists without a version."""
        return [{"reason": TOO_LARGE_CAUSE, "message": "Too large resource version"}]


class UnreadableChange(Fault):
    """A change cannot be shown: a watch passes over it and goes on. The log says why."""

    def __init__(self, kind: str, name: str, version: int) -> None:
        super().__init__(
            f'a change of {kind} "{name}" (resource version {version}) cannot be shown and was skipped. '
            "The watch continues. Read the object to see its current state; the server's log says what is "
            "wrong"
        )


_OPTIONS: Final = "ListOptions"
_MATCH: Final = "resourceVersionMatch"
_NOT_OLDER: Final = "NotOlderThan"
_EXACT: Final = "Exact"
_MOST_DIGITS: Final = 19
_LONGEST_WATCH: Final = 3600.0
_NO: Final = frozenset({"false", "0"})


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which part of a list, and of which moment."""

    limit: int = 0
    """0: everything."""
    token: str = ""
    """What the page before said where to go on."""
    version: int = 0
    """At least as new as this, or with `is_exact` as it was then; 0: as new as possible."""
    is_exact: bool = False


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """Where a watch begins and what it tells besides changes."""

    version: int = 0
    sends_initial: bool
    """Begin with what is there, as additions; else with what comes after the version (0: now)."""
    marks_initial_end: bool
    """Say by a bookmark when all that was there has been sent."""
    wants_bookmarks: bool
    timeout_seconds: float


def is_watch(query: Query) -> bool:
    """Whether a list is to go on as a watch."""
    return bool(_yes(query, "watch"))


def read_list_options(query: Query) -> ListOptions:
    """The options of a list.

    Raises:
        InvalidOptions: options that do not go together.
        BadRequest: a number that is none, or a version beside `continue`.
    """
    match, version, token = _text(query, _MATCH), _text(query, "resourceVersion"), _text(query, "continue")
    problems = []
    if match:
        if not version:
            problems.append(_forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided"))
        if token:
            problems.append(_forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
        if match not in (_EXACT, _NOT_OLDER):
            problems.append(_not_supported(match, _EXACT, _NOT_OLDER, ""))
        if match == _EXACT and version == "0":
            problems.append(_forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"'))
    if query.getlist("sendInitialEvents"):
        problems.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _refuse(problems)
    limit, number = read_number(query, "limit"), read_number(query, "resourceVersion")
    if token and number:
        raise BadRequest("specifying resource version is not allowed when using continue")
    # Kubernetes' rule of old: a page from a version on, without a word on how it is meant, is of that version.
    is_exact = number > 0 and (match == _EXACT or (not match and limit > 0))
    return ListOptions(limit=limit, token=token, version=number, is_exact=is_exact)


def read_watch_options(query: Query) -> WatchOptions:
    """The options of a watch. Raises as `read_list_options` does."""
    match, initial = _text(query, _MATCH), _yes(query, "sendInitialEvents")
    problems = []
    if initial is not None and match != _NOT_OLDER:
        problems.append(_forbidden(_MATCH, f"sendInitialEvents requires setting {_MATCH} to {_NOT_OLDER}"))
    if match:
        if initial is None:
            problems.append(_forbidden(_MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"))
        if match != _NOT_OLDER:
            problems.append(_not_supported(match, _NOT_OLDER))
        if _text(query, "continue"):
            problems.append(_forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
    _refuse(problems)
    version, wants_bookmarks = read_number(query, "resourceVersion"), bool(_yes(query, "allowWatchBookmarks"))
    return WatchOptions(
        version=version,
        sends_initial=not version if initial is None else initial,
        marks_initial_end=bool(initial) and wants_bookmarks,
        wants_bookmarks=wants_bookmarks,
        timeout_seconds=min(read_number(query, "timeoutSeconds") or _LONGEST_WATCH, _LONGEST_WATCH),
    )


def read_number(query: Query, name: str) -> int:
    """A number that is not negative, 0 if it is not given; raises BadRequest."""
    text = _text(query, name)
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise BadRequest(f"{name}: Invalid value: must be a whole number of at most {_MOST_DIGITS} digits")
    return int(text)


def _text(query: Query, name: str) -> str:
    values = query.getlist(name)
    return values[0] if values else ""


def is_yes(value: str | None) -> bool:
    """As API servers read it: whatever is there and is neither "false" nor "0" is true."""
    return value is not None and value.lower() not in _NO


def _yes(query: Query, name: str) -> bool | None:
    """The first of several counts; None if it is not there."""
    values = query.getlist(name)
    return is_yes(values[0]) if values else None


def _refuse(problems: list[FieldProblem]) -> None:
    if problems:
        raise InvalidOptions(_OPTIONS, *problems)


def _forbidden(field: str, why: str) -> FieldProblem:
    return FieldProblem(field, "FieldValueForbidden", why)


def _not_supported(value: str, *known: str) -> FieldProblem:
    listed = ", ".join(f'"{word}"' for word in known)
    return FieldProblem(_MATCH, "FieldValueNotSupported", f'"{value[:64]}": supported values: {listed}')
