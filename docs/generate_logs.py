# ruff: noqa: INP001, E501 - a script, with the lines of a page
"""Writes `docs/logs.md` from the table of fields in the code and the actions beside this script.

python docs/generate_logs.py            # write it
python docs/generate_logs.py --check    # exit 1 if it is stale
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chandlery.process.logs.ecs_fields import ECS_VERSION, ON_EVERY_LINE, ON_SOME_LINES, Field  # noqa: E402
from chandlery.process.logs.folding import FREE, MOST_KINDS, SECONDS  # noqa: E402
from docs.log_actions import ACTIONS  # noqa: E402

PAGE: Final = Path(__file__).with_name("logs.md")
_HEAD: Final = f"""# Logs

<!-- Written by docs/generate_logs.py from shared/chandlery/process/logs/ecs_fields.py and docs/log_actions.py; edit there. -->

A line each for what is done, on stderr: JSON, or `CHANDLERY_LOG_FORMAT=console` for people. The JSON has the field names of the
[Elastic Common Schema](https://www.elastic.co/docs/reference/ecs) {ECS_VERSION}, with dots in them rather than objects in objects, so that `grep` finds
them. What that schema has no field for begins with `chandlery.` ([why](adr/0045-log-lines-have-the-fields-of-ecs.md)).
No line has a secret, a query or a body.

## What to ask

The uid of an object finds its whole story, whoever wrote it: requests to service brokers, conditions, rounds.

```console
$ uid=$(kubectl get serviceinstance db -o jsonpath='{{.metadata.uid}}')
$ kubectl logs -l app.kubernetes.io/name=chandlery --max-log-requests=20 --tail=-1 | grep $uid | jq -r '."@timestamp" + " " + .message'
$ … | jq 'select(."event.action" == "call_broker" and ."event.outcome" == "failure") | {{b: ."chandlery.broker", s: ."http.response.status_code", e: ."error.message"}}'
$ … | jq 'select(."event.action" == "call_broker" and ."event.duration" > 5e9) | .message'          # slower than 5 s
$ … | jq 'select(."trace.id" == "4bf92f3577b34da6a3ce929d0e0e4736") | .message'                      # one request and all that it led to
$ … | jq -r 'select(."log.level" == "error" or ."log.level" == "warning") | ."event.action"' | sort | uniq -c | sort -rn
```

How many lines of each level a process has written is in `chandlery_log_lines_total` ([metrics](metrics.md)).

## Levels

`CHANDLERY_LOG_LEVEL` is the lowest level of every module of Chandlery. `CHANDLERY_LOG_LEVELS` says otherwise for single ones, by the name that
`log.logger` shows, or by a package that they are in; the longest name that fits wins. Libraries have the names of Python's `logging`, and tell
warnings unless more is asked for.

```console
$ CHANDLERY_LOG_LEVELS=chandlery.osb=debug,chandlery_gateway.http=warning,sqlalchemy.engine.Engine=info chandlery gateway
```

`CHANDLERY_LOG_LEVELS_FILE` names a file with the same, a line each, which wins over the variables and **is read again within seconds when it changes**:
no restart. In it `*` stands for all modules of Chandlery.

```text
# until the incident is over
*=debug
aiormq=info
```

A mistake is refused at the start with a sentence that names it; while a process runs, what was before stays, and the log says so (`reload_files`).
With the Helm chart it is `settings.logLevels`, or `kubectl edit configmap <release>-log-levels`.

Debug tells what workers decide and why (`chandlery.engine.rounds`), what is published (`chandlery.engine.relay`) and handled
(`chandlery.messaging`), which transactions are repeated (`chandlery.store`), and how requests are refused (`chandlery_gateway.http`).
`sqlalchemy.engine.Engine=info` shows every statement, without its values.

## Floods

Lines that are alike are written {FREE} times in {SECONDS:g} seconds; the others are counted, and then told in one line with `chandlery.repeats`. Alike are lines of
one module, level and action about the same object, service broker, user, address or route, with the same outcome, status and reason. What differs
in one of them is another line, and is written at once. Every {SECONDS:g} seconds, and at the end of a process, what was counted is told. At
most {MOST_KINDS:,} kinds of lines are remembered.

Never folded are requests to the API that were served, of which each has done something, and what debug tells. Requests that were refused are,
by user, address, method, path and status: a client that is refused again and again in a loop costs a line a second. `chandlery_log_lines_total` counts
folded lines, too.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, "## Fields\n", "On every line:\n", _fields(ON_EVERY_LINE), "On lines that are about it:\n"]
    parts += [_fields(ON_SOME_LINES), "## Actions\n"]
    for theme, actions in ACTIONS.items():
        parts.append(f"### {theme}\n")
        parts.append(_table(("`event.action`", "a line for"), ((f"`{name}`", what) for name, what in actions.items())))
    return "\n".join(parts)


def _fields(fields: Iterable[Field]) -> str:
    rows = ((f"`{field.name}`", f"`{field.key}`", field.meaning) for field in fields)
    return _table(("field", "on a console", "meaning"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = tuple(head)
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/logs.md from the fields and actions of log lines.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write("logs.md is stale; run: python docs/generate_logs.py\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
