"""A value of the chart that was renamed: the old name works for a release, is told of, and is no second value."""

import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest

_MADE_UP = "values: [{old: gateway.count, new: gateway.pods.least, since: 0.2.0, until: 0.3.0, default: 2}]"
_READER = """apiVersion: v1
kind: ConfigMap
metadata: {name: probe}
data: {least: {{ include "chandlery.renamed.value" (dict "root" . "new" "gateway.pods.least") | quote }}}
"""
_WARNING = (
    "WARNING: gateway.count is called gateway.pods.least since release 0.2.0; "
    "the old name works until release 0.3.0, which refuses it."
)


@pytest.fixture
def renamed_chart(chart_folder: Path, tmp_path: Path) -> Path:
    """The chart, with one value that had another name."""
    copied = tmp_path / "chandlery"
    shutil.copytree(chart_folder, copied)
    table = copied / "templates" / "_renamed.tpl"
    text = table.read_text()
    assert "\nvalues: []\n" in text
    table.write_text(text.replace("\nvalues: []\n", f"\n{_MADE_UP}\n"))
    (copied / "templates" / "probe.yaml").write_text(_READER)
    (copied / "values.schema.json").unlink()
    return copied


def _rendered(folder: Path, values: dict[str, Any], **gateway: Any) -> tuple[str, str]:
    """What reads the value, and the notes."""
    with helm_python.Chart.load(folder) as chart:
        files = chart.render({**values, "gateway": gateway}, name="demo", namespace="prod")
    return files["chandlery/templates/probe.yaml"], files["chandlery/templates/NOTES.txt"]


@pytest.mark.parametrize(
    ("given", "least", "warns"),
    [
        pytest.param({}, 2, False, id="neither"),
        pytest.param({"pods": {"least": 5}}, 5, False, id="the new name"),
        pytest.param({"count": 4}, 4, True, id="the old name"),
        pytest.param({"count": 0}, 0, True, id="the old name with nothing"),
    ],
)
def test_either_name_counts_and_the_old_one_is_told_of(
    renamed_chart: Path, required: dict[str, Any], given: dict[str, Any], least: int, warns: bool
) -> None:
    read, notes = _rendered(renamed_chart, required, **given)
    assert f'least: "{least}"' in read
    assert (_WARNING in notes) is warns


def test_both_names_at_once_are_refused(renamed_chart: Path, required: dict[str, Any]) -> None:
    with pytest.raises(
        helm_python.HelmError, match=r"are both set: gateway.count is the old name .* remove gateway.count"
    ):
        _rendered(renamed_chart, required, count=3, pods={"least": 3})


def test_the_real_chart_warns_of_nothing(chart_folder: Path, required: dict[str, Any]) -> None:
    with helm_python.Chart.load(chart_folder) as chart:
        notes = chart.render(required, name="demo", namespace="prod")["chandlery/templates/NOTES.txt"]
    assert "WARNING" not in notes
