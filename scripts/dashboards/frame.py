"""What is around the panels: variables, links between the dashboards, the marks of alerts; and the whole as JSON."""

import json
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from dashboards.parts import Dashboard, Variable
from dashboards.queries import NAMESPACE, in_namespace
from dashboards.rendering import SOURCE, built

SCHEMA_VERSION: Final = 42
"""Of Grafana 12 and 13. It differs from 41, whose types we use, in fields that none of our panels has."""
TAG: Final = "chandlery"
_ALL: Final = dashboard.VariableOption(text="All", value="$__all", selected=True)
_FIRING: Final = 'ALERTS{alertname=~"Chandlery.+", alertstate="firing"}'


def as_json(made: Dashboard) -> str:
    """The file of a dashboard."""
    frame = (
        builders.Dashboard(made.title)
        .uid(made.uid)
        .description(made.asks)
        .tags([TAG])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .annotation(_marks())
        .with_variable(_datasource())
    )
    for variable in made.variables:
        frame = frame.with_variable(_variable(variable))
    for row in made.rows:
        frame = frame.with_row(builders.Row(row.title))
        for panel in row.panels:
            frame = frame.with_panel(built(panel))
    model = frame.build()
    model.schema_version = SCHEMA_VERSION
    for number, each in enumerate(model.panels or [], start=1):
        each.id_val = number
    return json.dumps(model, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def _datasource() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _variable(variable: Variable) -> builders.QueryVariable:
    of = f"{variable.of[:-1]}, {NAMESPACE}}}" if variable.of.startswith("{") else in_namespace(variable.of)
    if variable.name == "namespace":
        of = variable.of
    made = (
        builders.QueryVariable(variable.name)
        .label(variable.title)
        .datasource(SOURCE)
        .query({"query": f"label_values({of}, {variable.label or variable.name})", "refId": variable.name})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if not variable.has_all:
        return made
    # Also what has no such label: outside Kubernetes there is no namespace.
    return made.multi(True).include_all(True).all_value(".*").current(_ALL)


def _others() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Chandlery")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _marks() -> Any:
    marks = builders.AnnotationQuery().name("Alerts that fire").datasource(SOURCE).enable(True).icon_color("red")
    return marks.expr(in_namespace(_FIRING))
