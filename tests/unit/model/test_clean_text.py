"""Texts of others, made fit to be shown: what is taken out, what stays, and how much is kept."""

import time
import unicodedata

import pytest

from chandlery.model.text.clean_text import (
    CONDITION_LONGEST,
    EVENT_LONGEST,
    QUOTE_LONGEST,
    clean_event,
    clean_message,
    clean_text,
    quoted,
)

MOST_SECONDS = 0.05


def _clean(text: str) -> str:
    return clean_text(text, longest=100)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("plain", "plain", id="plain text stays"),
        pytest.param("  wide  ", "wide", id="blanks around it go"),
        pytest.param("Zürich, 東京, Ελλάδα, שלום", "Zürich, 東京, Ελλάδα, שלום", id="letters of all scripts stay"),
        pytest.param("\x1b[31mred\x1b[0m", "red", id="a colour goes as a whole"),
        pytest.param("\x9b31mred", "red", id="so does its one-byte form"),
        pytest.param("\x1b[2J\x1b[1;1Hgone", "gone", id="a cleared screen"),
        pytest.param("\x1b]0;root@host\x07title", "title", id="a window title"),
        pytest.param("\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\", "link", id="a link keeps its text only"),
        pytest.param("\x1bPq#0\x1b\\picture", "picture", id="a device string"),
        pytest.param("\x1bcreset", "reset", id="a reset of the terminal"),
        pytest.param("\x1b(0lines", "lines", id="another character set"),
        pytest.param("\x1b]0;no end", "]0;no end", id="an unfinished sequence loses its ESC"),
        pytest.param("\x1b", "", id="ESC alone"),
        pytest.param("a\x00b\x07c\x08d\x7fe\x84f", "abcdef", id="controls"),
        pytest.param("a\r\nb\tc\vd\u2028e\x85f", "a b c d e f", id="ends of lines become blanks"),
        pytest.param("abc\u202egpj.exe", "abcgpj.exe", id="an override of direction"),
        pytest.param("a\u2066b\u2069c\u200ed\u200fe\u061cf", "abcdef", id="isolates and marks of direction"),
        pytest.param("pass\u200bword\ufeff\u2060\xad", "password", id="no width"),
        pytest.param("a\u200db\u200cc", "abc", id="joiners between Latin letters"),
        pytest.param("a\u200d\u200d\u200d", "a", id="a row of joiners"),
        pytest.param("می\u200cخواهم", "می\u200cخواهم", id="a joiner that Persian needs stays"),  # noqa: RUF001
        pytest.param("👩\u200d💻", "👩\u200d💻", id="a joined emoji stays"),
        pytest.param("👩\u200d\u200c\u200d💻", "👩\u200d💻", id="of a row of joiners one stays"),
        pytest.param("hi\U000e0041\U000e0042", "hi", id="tags that hide a text"),
        pytest.param("\ud83d alone", "� alone", id="half a surrogate pair"),
    ],
)
def test_a_text_is_shown_without_what_steers_or_hides(text: str, seen: str) -> None:
    assert _clean(text) == seen


def test_lines_and_tabs_stay_where_a_block_is_shown() -> None:
    assert clean_text("a\r\nb\r\tc\x1b[1m\n", longest=100, keeps_lines=True) == "a\nb\n\tc"


@pytest.mark.parametrize("length", [99, 100, 101, 5_000, 1_000_000])
def test_a_long_text_is_cut_with_a_mark(length: int) -> None:
    seen = _clean("x" * length)

    assert seen == ("x" * length if length <= 100 else "x" * 99 + "…")


def test_what_is_hidden_does_not_count_and_what_was_not_looked_at_is_marked() -> None:
    assert _clean("\u200b" * 200 + "abc") == "abc"
    assert _clean("\u200b" * 200 + "abc" + "\u200b" * 1_000) == "abc…"


def test_the_end_of_a_long_message_stays_for_it_tells_the_way_out() -> None:
    message = "it failed: " + "x" * 300_000 + ". See kubectl describe secret x"

    for seen, longest in ((clean_message(message), CONDITION_LONGEST), (clean_event(message), EVENT_LONGEST)):
        assert seen.startswith("it failed: xxx")
        assert "x…x" in seen
        assert seen.endswith(". See kubectl describe secret x")
        assert len(seen) == longest


def test_a_message_is_the_same_when_it_is_cleaned_again() -> None:
    for text in ("x" * 5_000, "a\x1b[31mb\nc", "\u200b" * 30_000 + "x" * 30_000, "\u202e" * 10_000):
        once = clean_message(text)

        assert clean_message(once) == once


def test_an_input_is_repeated_in_quotes_and_short() -> None:
    assert quoted("{.us\x1b[31mer") == "'{.user'"
    assert len(quoted("{" * 300_000)) == QUOTE_LONGEST + len("''")


def test_every_control_and_format_character_goes_but_for_those_that_are_seen() -> None:
    seen_or_needed = {0x200C, 0x200D, *range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD}
    seen_or_needed |= set(range(0x13430, 0x13460))  # of Egyptian hieroglyphs
    left = [
        hex(point)
        for point in range(0x110000)
        if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and point not in seen_or_needed
        and chr(point) in _clean(f"a{chr(point)}b")
    ]

    assert left == []


@pytest.mark.parametrize(
    "piece",
    [
        "\x1b]",
        "\x1b[",
        "\x1b[1;",
        "\x1bP",
        "\u200d",
        "\u200b",
        "\n",
        "\x1b",
        "x",
        "\ud800",
        "\u202e é\u200d",
        "\x9d",
        " \x90a",
        "\x98\x9e",
        "\x9b0",
    ],
)
@pytest.mark.parametrize("keeps_lines", [False, True])
def test_no_text_of_any_length_takes_long(piece: str, keeps_lines: bool) -> None:
    text = piece * (3_000_000 // len(piece))
    began = time.process_time()

    clean_text(text, longest=CONDITION_LONGEST, keeps_lines=keeps_lines, keeps_end=1_000)

    assert time.process_time() - began < MOST_SECONDS
