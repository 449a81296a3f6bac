"""Patterns of strangers: what they may take of memory, and what becomes of those that would take more."""

import pytest
import regex

from chandlery.reconcile.parameters import bounded_patterns
from chandlery.reconcile.parameters.bounded_patterns import MOST_COMPILED, finds, is_too_costly

TEXT = "x" * 50
LARGE = "(x?){%d}"


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(x?){99000}", id="a group written out 99,000 times"),
        pytest.param("(x?){99000}y{0,1}", id="with a count of none beside it"),
        pytest.param("(x?){000000000099000}", id="with zeros before its count"),
        pytest.param("(?:(?:x?){400}){400}", id="counts within counts"),
        pytest.param("x{99000}", id="a character written out"),
        pytest.param("x" * 1_001, id="long as it stands"),
    ],
)
def test_pattern_that_would_be_too_large_is_not_applied(pattern: str) -> None:
    assert is_too_costly(pattern)
    assert finds(pattern, TEXT, seconds=1.0) is None


def test_pattern_whose_counts_cannot_be_read_is_not_applied() -> None:
    assert finds("(?x)(x?){99 000}", TEXT, seconds=1.0) is None


@pytest.mark.parametrize(
    "pattern",
    ["x{0,99000}", "^(?:x{1,63}){1,8}$", "[a-z]{50}", "(?i)^X+$", "^(?:(?:25[0-5]|x){2}){4,}"],
)
def test_pattern_of_everyday_size_is_applied(pattern: str) -> None:
    assert not is_too_costly(pattern)
    assert finds(pattern, TEXT, seconds=1.0) is True


def test_patterns_that_are_kept_stay_within_their_bytes() -> None:
    for times in range(1_000, 1_300):
        finds(LARGE % times, TEXT, seconds=1.0)
    assert 0 < bounded_patterns._kept.cost <= MOST_COMPILED


def test_library_keeps_none_of_them_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    compile_pattern = regex.compile

    def noted(pattern: str, **options: bool) -> regex.Pattern[str]:
        kept.append(options)
        return compile_pattern(pattern, **options)

    monkeypatch.setattr(regex, "compile", noted)
    finds("a pattern that nobody had before", TEXT, seconds=1.0)
    assert kept == [{"cache_pattern": False}]
