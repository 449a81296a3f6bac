"""kube-apiserver and kube-controller-manager for `make test-cluster`, built once into a cache folder of the user.

cluster_servers.py build    build them unless they are there, from Debian's source package `kubernetes`
cluster_servers.py status   whether they are there; the status is 0, or 3 with a sentence that says what helps
"""

import sys

from kubernetes_build.building import build_programs
from kubernetes_build.cluster_cache import VERSION, cache_folder, find_programs
from machine.console import MachineFault, run_command


def main() -> int:
    """Run the subcommand."""
    match sys.argv[1:]:
        case ["build"]:
            build_programs()
        case ["status"]:
            find_programs()
            print(f"Kubernetes {VERSION} for the tests is in {cache_folder()}")
        case _:
            raise MachineFault("usage: cluster_servers.py build|status", exit_code=2)
    return 0


if __name__ == "__main__":
    run_command(main)
