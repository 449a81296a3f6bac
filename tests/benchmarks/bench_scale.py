"""`make bench-scale`: replicas at a slow service broker, a million instances, and tables that are pruned.

Takes a quarter of an hour and writes `docs/performance-plans.md`. The status is 1 if something that is done all the
time reads a large table from end to end. `--small` is for development: it shows that all works, and writes nothing.
"""

import argparse
import os
from dataclasses import dataclass
from typing import Final

import uvloop

from tests.benchmarks.scale.churn import ChurnFigure, measure_churn
from tests.benchmarks.scale.hot_figures import HotFigure, measure_hot_paths
from tests.benchmarks.scale.provisioners import measure_provisioners
from tests.benchmarks.scale.scale_page import write_scale_page
from tests.benchmarks.scale.stores import filled_store
from tests.benchmarks.scale.table_sizes import TableSize, table_sizes
from tests.benchmarks.stands.databases import fresh_database, server_urls
from tests.benchmarks.stands.revisions import name_of_checkout
from tests.support.scale.filling import Filling

_SMALLEST_SHOWN: Final = 1_000


_FEW: Final = Filling(instances=1_000, brokers=10, changes=5_000)
_MILLION: Final = Filling(instances=1_000_000, brokers=1_000, changes=5_000_000)
_CHURNED: Final = Filling(instances=20_000, brokers=20, changes=60_000)


@dataclass(frozen=True)
class ScaleSizes:
    """How much of everything."""

    many: Filling = _MILLION
    provisioned: int = 600
    churn_seconds: float = 240.0


_SMALL: Final = ScaleSizes(Filling(instances=20_000, brokers=100, changes=40_000), provisioned=60, churn_seconds=12.0)


def main() -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="small counts: to see that it works, not how fast")
    options = parser.parse_args()
    sizes, revision = _SMALL if options.small else ScaleSizes(), name_of_checkout()
    print("provisioners …", flush=True)
    fleets = measure_provisioners(sizes.provisioned)
    server, _ = server_urls("make bench-scale")
    print("churn …", flush=True)
    with fresh_database(server) as url:
        churn = uvloop.run(_churned(url, sizes))
    print("filling …", flush=True)
    with fresh_database(server) as few, fresh_database(server) as many:
        hot, tables = uvloop.run(_compared(few, many, sizes))
    if not options.small:
        machine = f"{os.cpu_count()} processors with everything on them"
        write_scale_page(
            revision=revision, machine=machine, fleets=fleets, churn=churn,
            few=_FEW, many=sizes.many, hot=hot, sizes=tables,
        )  # fmt: skip
    wrong = {figure.name: figure.wrong for figure in hot if figure.wrong}
    for name, plans in wrong.items():
        print(f"\n{name}:", *(f"{plan.statement}\n{plan.text}" for plan in plans), sep="\n")
    return 1 if wrong else 0


async def _churned(url: str, sizes: ScaleSizes) -> ChurnFigure:
    async with filled_store(url, _CHURNED) as store:
        figure = await measure_churn(store, sizes.churn_seconds)
    for look in figure.sizes:
        print("  ", {name: f"{(each.heap + each.indexes) / 2**20:.1f} MB" for name, each in look.items()}, flush=True)
    rounds, longest = len(figure.rounds_ms), max(figure.rounds_ms)
    print(f"  {rounds} rounds, the longest {longest:.0f} ms, {figure.behind_seconds:.0f} s behind", flush=True)
    return figure


async def _compared(few_url: str, many_url: str, sizes: ScaleSizes) -> tuple[list[HotFigure], list[TableSize]]:
    async with filled_store(few_url, _FEW) as few, filled_store(many_url, sizes.many) as many:
        tables = await table_sizes(many_url, rows=_SMALLEST_SHOWN)
        print("hot paths …", flush=True)
        return await measure_hot_paths(few, many), tables


if __name__ == "__main__":
    raise SystemExit(main())
