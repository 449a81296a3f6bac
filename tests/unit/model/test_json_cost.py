"""Values of a JSON text are counted before it is parsed."""

import json
from typing import Any

import pytest

from chandlery.model.json.json_text import has_more_values

TEXTS: dict[str, tuple[Any, int]] = {
    "scalar": (1, 1),
    "empty list": ([], 1),
    "list": ([1, 2, 3], 4),
    "lists": ([[], [[]], {}], 5),
    "object": ({"a": 1, "b": {"c": None}}, 4),
    "texts": (["a,b,[{", '",[', "\\", 'x\\",['], 5),
    "keys": ({",[{": 1, '"': [",", ""]}, 5),
}


@pytest.mark.parametrize(("document", "values"), TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("indent", [None, 2])
def test_values_are_counted_and_nothing_else(document: Any, values: int, indent: int | None) -> None:
    text = json.dumps(document, indent=indent).encode()
    assert values == 1 or has_more_values(text, values - 1)
    assert not has_more_values(text, values)
