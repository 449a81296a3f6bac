"""Makes Grafana's panels of ours, all in one manner: units, steps of colour, the question as the description.

The types are Grafana's own (grafana-foundation-sdk), so that mypy knows each field.
"""

from typing import Any, Final, TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.parts import BROKER, PROCESS, Cell, Lines, Number, Panel, Steps, Table
from dashboards.queries import in_namespace

PanelT = TypeVar("PanelT", stat.Panel, timeseries.Panel, table.Panel)
SOURCE: Final = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED = "green", "yellow", "red"
_NUMBER_HEIGHT: Final = 4
_LINES_HEIGHT: Final = 8
_VARIABLE_OF: Final = {BROKER: "broker", PROCESS: "instance"}
_SAME: Final = "${datasource:queryparam}&${namespace:queryparam}&${__url_time_range}"


def built(panel: Panel) -> Any:
    """The builder of a panel."""
    if isinstance(panel, Number):
        return _number(panel)
    return _lines(panel) if isinstance(panel, Lines) else _table(panel)


def _framed(made: PanelT, panel: Panel, *, height: int) -> PanelT:
    return made.title(panel.title).description(panel.asks).datasource(SOURCE).span(panel.width).height(height)


def _number(panel: Number) -> stat.Panel:
    made = (
        _framed(stat.Panel(), panel, height=_NUMBER_HEIGHT)
        .with_target(_query(panel.expr, "A").instant())
        .unit(panel.unit)
        .no_value(panel.none)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND if panel.steps else common.BigValueColorMode.NONE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(panel.steps))
    )
    return made.data_links([_way_to(panel.link)]) if panel.link else made


def _lines(panel: Lines) -> timeseries.Panel:
    made = (
        _framed(timeseries.Panel(), panel, height=_LINES_HEIGHT)
        .unit(panel.unit)
        .axis_soft_min(0)
        .fill_opacity(25 if panel.is_stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .thresholds(_thresholds(panel.steps))
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    for at, (legend, expr) in enumerate(panel.exprs.items()):
        # A trace for each dot, where Prometheus keeps exemplars.
        made = made.with_target(_query(expr, _ref(at)).range().legend_format(legend).exemplar("_bucket" in expr))
    if panel.is_stacked:
        made = made.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if panel.steps:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        made = made.thresholds_style(style)
    return made


def _table(panel: Table) -> table.Panel:
    made = (
        _framed(table.Panel(), panel, height=panel.height)
        .no_value("-")
        .align(common.FieldTextAlignment.AUTO)
        .sort_by([common_builders.TableSortByFieldState().display_name(panel.worst).desc(True)])
    )
    for at, cell in enumerate(panel.cells):
        made = made.with_target(_query(cell.expr, _ref(at)).instant().format(PromQueryFormat.TABLE))
    made = made.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
    made = made.with_transformation(dashboard.DataTransformerConfig("organize", options=_arrangement(panel)))
    for cell in panel.cells:
        made = made.override_by_name(cell.title, _look(cell))
    if panel.link:
        first = next(iter(panel.labels.values()))
        way = _way_to(panel.link, value="${__value.raw}").build()
        made = made.override_by_name(first, [dashboard.DynamicConfigValue("links", [way])])
    return made


def _arrangement(panel: Table) -> dict[str, object]:
    """Titles and order of the columns; one query alone has no letter in the name of its values."""
    values = ["Value"] if len(panel.cells) == 1 else [f"Value #{_ref(at)}" for at in range(len(panel.cells))]
    titles = {**panel.labels, **dict(zip(values, (cell.title for cell in panel.cells), strict=True))}
    return {
        "excludeByName": {"Time": True},
        "indexByName": {name: at for at, name in enumerate(titles)},
        "renameByName": titles,
    }


def _look(cell: Cell) -> list[dashboard.DynamicConfigValue]:
    look = [dashboard.DynamicConfigValue("unit", cell.unit)]
    if cell.steps:
        look += [
            dashboard.DynamicConfigValue("thresholds", _thresholds(cell.steps).build()),
            dashboard.DynamicConfigValue("color", {"mode": "thresholds"}),
            dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        ]
    return look


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(in_namespace(expr)).ref_id(ref).datasource(SOURCE)


def _ref(at: int) -> str:
    return chr(ord("A") + at)


def _way_to(uid: str, *, value: str = "") -> builders.DashboardLink:
    chosen = f"var-{_VARIABLE_OF[uid]}={value}&" if value else ""
    return builders.DashboardLink("Open its dashboard").url(f"/d/{uid}?{chosen}{_SAME}")


def _thresholds(steps: Steps | None) -> builders.ThresholdsConfig:
    if steps is None:
        colours = [dashboard.Threshold(None, GREEN)]
    elif steps.is_low_bad:
        colours = [
            dashboard.Threshold(None, RED),
            dashboard.Threshold(steps.red, YELLOW),
            dashboard.Threshold(steps.yellow, GREEN),
        ]
    else:
        between = [dashboard.Threshold(steps.yellow, YELLOW)] if steps.yellow < steps.red else []
        colours = [dashboard.Threshold(None, GREEN), *between, dashboard.Threshold(steps.red, RED)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(colours)
