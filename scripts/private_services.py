"""Real PostgreSQL and RabbitMQ for the tests and benchmarks, without touching the machine's own servers.

    private_services.py start|stop|status|env [--name PAIR]

`start` uses CHANDLERY_TEST_DATABASE_URL and CHANDLERY_TEST_AMQP_URL where they are set and private servers where not;
`env` prints both as shell exports. A pair with another name (`--name bench`) is always private and shares nothing.
"""

import argparse
import re
import shlex
import sys

from machine.console import MachineFault, run_command
from servers.given import DEFAULT_PAIR, VARIABLES
from servers.pair import describe_pair, pair_urls, start_pair, stop_pair


def main() -> int:
    """Run one subcommand; the status is 0, 1 for a fault or a pair that is down, 3 when software is missing."""
    arguments = _parser().parse_args()
    pair: str = arguments.name
    if not re.fullmatch(r"[a-z][a-z0-9]{0,15}", pair):
        raise MachineFault("a pair's name is one to sixteen lower-case letters and digits")
    if not sys.platform.startswith("linux"):
        raise MachineFault(f"private servers need Linux; elsewhere set {' and '.join(VARIABLES.values())}")
    match arguments.action:
        case "start":
            start_pair(pair)
        case "stop":
            stop_pair(pair, wipe=arguments.wipe)
        case "env":
            for kind, url in pair_urls(pair).items():
                print(f"export {VARIABLES[kind]}={shlex.quote(url)}")
        case _:
            lines, usable = describe_pair(pair)
            print("\n".join(lines))
            return 0 if usable else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Private PostgreSQL and RabbitMQ for tests and benchmarks.")
    parser.add_argument("action", choices=("start", "stop", "status", "env"))
    parser.add_argument("--name", default=DEFAULT_PAIR, help="which pair of servers (default: %(default)s)")
    parser.add_argument("--wipe", action="store_true", help="with stop: remove the data as well")
    return parser


if __name__ == "__main__":
    run_command(main)
