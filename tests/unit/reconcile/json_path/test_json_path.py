"""The JSONPath templates of Kubernetes: what they find, what cannot be read, and that none of them has no end."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.reconcile.json_path.json_path_nodes import JsonPathFault
from chandlery.reconcile.json_path.json_path_parsing import LONGEST_TEMPLATE, parse_template
from chandlery.reconcile.json_path.json_path_rendering import MOST_STEPS, render
from tests.unit.reconcile.json_path.json_path_cases import CASES, DOCUMENT

VALUES = {
    "host": "rope.example",
    "port": 5432,
    "a": {"b": [{"c": "deep"}, {"c": 2}, {"d": True}]},
    "tls": {"ca.crt": "PEM", "it's": "odd", "x": {"y": "dotted"}},
    "none": None,
    "big": 12345678901234567890123,
    "list": [{"x": 1}, {"x": 2}, {"y": 3}, {"x": "2"}, {"x": 2.0, "on": True}],
    "empty": [],
}


def rendered(template: str, *, most_characters: int = 10_000) -> str:
    return render(parse_template(template), VALUES, most_characters=most_characters)


@pytest.mark.parametrize(("template", "text"), [case for case in CASES.values() if case[1] is not None], ids=str)
def test_template_of_kubernetes_renders(template: str, text: str) -> None:
    assert render(parse_template(template), DOCUMENT, most_characters=1_000) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("{.a.b[0]['c']}", "deep", id="index and quoted key"),
        pytest.param('{.a.b[-2]["c"]}', "2", id="double quotes"),
        pytest.param("{.tls['ca.crt']}", "PEM", id="dot in a quoted key"),
        pytest.param("{.tls['ca\\.crt']}", "PEM", id="escaped dot in a quoted key"),
        pytest.param("{.tls['x.y']}", "dotted", id="quoted path, as kubectl takes it"),
        pytest.param("{.tls.ca\\.crt}", "PEM", id="escaped dot"),
        pytest.param('{.tls["it\'s"]}', "odd", id="quote in a quoted key"),
        pytest.param("tcp://{.host}:{.port}/", "tcp://rope.example:5432/", id="text around"),
        pytest.param("{.a.b[0:2]}", '{"c":"deep"} {"c":2}', id="objects as JSON"),
        pytest.param("{.a.b}", '[{"c":"deep"},{"c":2},{"d":true}]', id="a list as JSON"),
        pytest.param("{.none}", "null", id="null"),
        pytest.param("{.big}", "12345678901234567890123", id="number beyond 64 bits"),
        pytest.param("{..c}", "deep 2", id="descent"),
        pytest.param("{.tls.x.*} {.list[0].*}", "dotted 1", id="all values of an object"),
        pytest.param("{.list[?(@.x==2)].x}", "2 2.0", id="numbers are compared with numbers"),
        pytest.param("{.list[?(@.x=='2')].x}", "2", id="texts with texts"),
        pytest.param("{.list[?(@.x>1)].x}", "2 2.0", id="more than a number"),
        pytest.param("{.list[?(@.x==1.0)].x}", "1", id="a fraction"),
        pytest.param("{.list[?(@.on==true)].x}", "2.0", id="a boolean"),
        pytest.param("{.list[?(@.x==-1)].x}x", "x", id="nothing matches"),
        pytest.param("{.empty[*]}{.empty[0:0]}.", ".", id="nothing in a list"),
        pytest.param("{range .list[0:2]}{range .x}<{}>{end}{end}", "<1><2>", id="ranges within each other"),
        pytest.param("{2}{true}{1.5}", "2true1.5", id="constants"),
        pytest.param('{"\\x41\\u00fc\\101"}', "AüA", id="escapes with numbers"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_template_renders(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        pytest.param("{.user", "column 1: the brace is not closed", id="open brace"),
        pytest.param("user: {.user", "column 7: the brace is not closed", id="open brace after a text"),
        pytest.param("{host}", "column 2: 'host' is not a path", id="no dot"),
        pytest.param("{.a[0}", "column 4: the bracket is not closed", id="open bracket"),
        pytest.param("{.a[]}", "column 5: '' is neither a number", id="empty bracket"),
        pytest.param("{.a[x]}", "column 5: 'x' is neither a number", id="name without quotes"),
        pytest.param("{.a[0,x]}", "column 7: 'x' is neither a number", id="in a union"),
        pytest.param("{.a[::0]}", "column 5: the step of a slice must be greater than 0", id="no step"),
        pytest.param("{.a[?(@.x==2]}", "column 4: the filter is not closed", id="open filter"),
        pytest.param("{.a[?(@.x=2)]}", "column 10: '=' compares nothing", id="one equals sign"),
        pytest.param("{.a[?(@.x==)]}", "column 12: one side of the filter is missing", id="half a comparison"),
        pytest.param("{.a[?()]}", "column 7: one side of the filter is missing", id="no comparison"),
        pytest.param('{.a["' + '\\"' * 1_000 + "]}", "column 5: the quote is not closed", id="open quote in a bracket"),
        pytest.param("{.a[?(@.x=='y)]}", "column 12: the quote is not closed", id="open quote in a filter"),
        pytest.param('{"text}', "column 2: the quote is not closed", id="open quote"),
        pytest.param("{....a}", "column 4: one '..' follows another", id="descent of a descent"),
        pytest.param("{range .a[*]}{.x}", "column 1: {range} is not closed", id="open range"),
        pytest.param("{.x}{end}", "column 5: {end} closes a {range}", id="end of nothing"),
        pytest.param("{.a#}", None, id="any character in a name"),
        pytest.param("{#}", "column 2: '#' has no meaning here", id="a character of no use"),
        pytest.param("{1.2.3}", "column 2: 1.2.3 is not a number", id="no number"),
        pytest.param("{range .a}" * 9, "column 81: more than 8 ranges", id="too many ranges within each other"),
        pytest.param("x" * (LONGEST_TEMPLATE + 1), "it may be at most 4096 characters long, not 4097", id="too long"),
    ],
)
def test_template_that_cannot_be_read_says_where(template: str, problem: str | None) -> None:
    if problem is None:
        parse_template(template)
        return
    with pytest.raises(JsonPathFault) as caught:
        parse_template(template)
    assert caught.value.message.startswith(problem)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param("{.nobody}", 'the key "nobody" does not exist', id="missing key"),
        pytest.param("{.a.b[3]}", "the list has 3 elements", id="beyond the list"),
        pytest.param("{.a.b[-4]}", "the list has 3 elements", id="before the list"),
        pytest.param("{.a.b[1:9]}", "the list has 3 elements", id="slice beyond the list"),
        pytest.param("{.host[0]}", "not a list", id="index of a text"),
        pytest.param("{.host.name}", 'the key "name" does not exist', id="key of a text"),
        pytest.param("{.host[?(@.x)]}", "not a list", id="filter of a text"),
        pytest.param("{.list[?(@.x==1)].y}", None, id="missing in what a filter finds"),
    ],
)
def test_template_that_leads_nowhere_says_why_and_shows_no_value(template: str, words: str | None) -> None:
    with pytest.raises(JsonPathFault) as caught:
        rendered(template)
    assert words is None or words in caught.value.message
    assert "rope.example" not in caught.value.message


NAMES = [f"k{number}" for number in range(300)]
DEEP: dict[str, Any] = reduce(lambda inner, name: {name: inner}, NAMES[:100], dict[str, Any]())
WIDE = {"list": [dict.fromkeys(NAMES[:20], 1) for _ in range(300)], "deep": DEEP}


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{range .deep..}{range ..}{range ..}{range ..}{end}{end}{end}{end}", id="ranges of descents"),
        pytest.param("{.." + "*..*" * 200 + "}", id="descents and wildcards"),
        pytest.param("{range .list[*]}{.list}{end}", id="what is not there"),
        pytest.param("{.list[*]}" * 100, id="the same again and again"),
        pytest.param("{..}" * 400, id="everything again and again"),
        pytest.param("{.list" + "[*,*]" * 300 + "}", id="unions that double"),
    ],
)
def test_no_template_goes_on_without_an_end(template: str) -> None:
    with pytest.raises(JsonPathFault, match=r"longer than|more than|does not exist|not a list"):
        render(parse_template(template), WIDE, most_characters=100_000)


def test_work_is_bounded_where_the_text_is_not() -> None:
    template = parse_template("{range .deep..}{range ..}{range ..}{range ..}{end}{end}{end}{end}")
    with pytest.raises(JsonPathFault, match=f"it visits more than {MOST_STEPS} values"):
        render(template, WIDE, most_characters=10)


@pytest.mark.parametrize("comparison", ["==", "!=", "<"])
def test_lists_and_objects_are_not_compared(comparison: str) -> None:
    template = parse_template(f"{{.list[?(@.p{comparison}@.q)]}}")
    for value in ([1, 2], {"a": 1}):
        with pytest.raises(JsonPathFault, match="not lists or objects"):
            render(template, {"list": [{"p": value, "q": value}]}, most_characters=1_000)


@given(st.text(alphabet="{}[]()?@$.,:'\"\\*=<>!ab0- \nrangeend", max_size=60))
def test_whatever_is_written_is_read_or_refused(template: str) -> None:
    try:
        text = render(parse_template(template), VALUES, most_characters=1_000)
    except JsonPathFault as fault:
        text = fault.message
    assert len(text) <= 1_000
