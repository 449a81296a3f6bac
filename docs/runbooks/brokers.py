# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about service brokers."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

_CALLS: Final = """logs | jq -r 'select(."event.action" == "call_broker" and ."chandlery.broker" == "NAME") | "\\(."@timestamp") \\(.message) \\(."error.message" // "")"' | tail -20   # each call, with the broker's words"""
_WAITING: Final = "kubectl get serviceinstances,servicebindings --all-namespaces | grep -v ' Ready '                # who waits, and in which state"
_CONDITIONS: Final = (
    "kubectl describe clusterservicebroker NAME        # or: kubectl describe servicebroker NAME --namespace NAMESPACE"
)

BROKERS: Final[Mapping[str, Runbook]] = {
    "ChandleryBrokerFailing": Runbook(
        means="More than a quarter of the calls to this service broker come to 5xx or to no connection. Its instances and bindings are not made, changed or removed; each is tried again with growing pauses, so nothing is lost. Other service brokers are not hurt. After ten failures in a row each worker pauses the calls (`BrokerCircuitOpen`) and probes it twice a minute.",
        look=(
            "Dashboard *Service broker*, *Calls by status*: `5xx` means that it answers and fails; `connection` that it is not reached (address, DNS, TLS, firewall); `refused` that our own [egress rules](brokers.md) do not allow its address.",
            "*Calls failed, by operation*: one operation alone is a fault in it; `GetCatalog` too means that all of it is down.",
            "The condition `CircuitOpen` of the broker, and what it has answered whom: the operation history. Its `Ready` is about its catalog alone, which may have been read before.",
        ),
        type=(
            _CONDITIONS,
            _CALLS,
            _WAITING,
            "kubectl get serviceinstanceoperations --all-namespaces --field-selector broker=NAME,since=1h | head     # what it was asked for last, for whom, and what came of it",
            "kubectl annotate serviceinstance NAME --overwrite chandlery.io/retry-requested-at=$(date +%s)          # once it is mended: do not wait for the next attempt",
        ),
        over="*Calls failed* is below 5 %, `CircuitOpen` is gone, and what waited becomes Ready by itself, within the pause of its next attempt (`status.nextAttemptTime`).",
    ),
    "ChandleryBrokerHanging": Runbook(
        means="The service broker takes connections and does not answer: calls end by `CHANDLERY_OSB_TIMEOUT_SECONDS` (60). Each holds one of the 16 that a worker process makes to one service broker at a time. Other service brokers have calls of their own and are not hurt.",
        look=(
            "Dashboard *Overview*, *Service brokers*: the column `waits for` is red after 20 s, before the first call has timed out, and in *Longest wait for an answer* its line rises with time.",
            "Dashboard *Service broker*, *Calls under way, by process*: if one process alone waits, look at that process and its network, not at the service broker.",
            "*Work due* beside it: what waits meanwhile.",
        ),
        type=(
            _CALLS,
            "kubectl exec deploy/chandlery-provisioner -- chandlery doctor --only broker-calls --only circuits      # which ones, without a dashboard",
            "kubectl get serviceinstanceoperations,servicebindingoperations --all-namespaces --field-selector broker=NAME,outcome=InProgress      # who waits, and how often it was tried",
            """kubectl exec deploy/chandlery-provisioner -- python -c 'import urllib.request as u; print(u.urlopen("URL/v2/catalog", timeout=10))'      # does it answer from there at all? 401 is an answer""",
            'kubectl patch clusterservicebroker NAME --type=merge --patch \'{"spec":{"circuitBreaker":{"consecutiveFailures":3,"openDuration":"5m"}}}\'   # probe it less often until its operator has mended it',
        ),
        over="*Not answered in time* is 0 and *Longest wait* is empty between calls. What was in flight is asked for again with the same ids, so nothing is made twice.",
    ),
    "ChandleryBrokerSlow": Runbook(
        means="One in ten answers takes longer than ten seconds. The service broker works, but calls to it queue, and its users wait.",
        look=(
            "Dashboard *Service broker*, *Calls by operation, nine in ten take less*: which one is slow. Provisioning that takes this long should be asynchronous (202), which is for its operator to do.",
            "*Calls put off* by the rate limit: then it is our own limit, `spec.rateLimit`, and not the service broker.",
            "*Oldest work due*: whether anybody is hurt yet.",
        ),
        type=(
            """logs 1h | jq -r 'select(."event.action" == "call_broker" and ."chandlery.broker" == "NAME" and ."event.duration" > 5e9) | .message'     # the slow calls""",
            "kubectl get clusterservicebroker NAME -o jsonpath='{.spec.maxConcurrentRequests} {.spec.rateLimit}'        # what it is allowed at a time",
        ),
        over="*Nine in ten calls take less* is below ten seconds for a quarter of an hour.",
    ),
    "ChandleryCatalogStale": Runbook(
        means="The catalog of the service broker was last read two days ago, and attempts to read it fail. New plans are not offered, and plans that are gone still are. Instances go on working.",
        look=(
            "The condition `Ready` of the broker: the last attempt, and why it failed.",
            "Dashboard *Service broker*, *Catalogs read in an hour*: how often it is tried.",
        ),
        type=(
            _CONDITIONS,
            'kubectl patch clusterservicebroker NAME --type=merge --patch "{\\"spec\\":{\\"relistRequests\\":$(date +%s)}}"      # read it now',
            "kubectl exec deploy/chandlery-syncer -- chandlery doctor",
        ),
        over="*Catalog read* is less than a day ago. For a broker that nobody needs any more: delete it.",
    ),
    "ChandleryCatalogSyncFailing": Runbook(
        means="Several attempts to read the catalog have failed within an hour, and none succeeded. The last good catalog stays in use.",
        look=(
            "The condition `Ready` of the broker. `ErrorFetchingCatalog`: address, network, certificate or credentials. `ErrorGettingAuthCredentials`: its Secret is missing or lacks a key. `ErrorSyncingCatalog`: the catalog is not valid, and the message names each problem.",
            "Dashboard *Service broker*, *Offerings changed in an hour*: whether it broke with a change.",
        ),
        type=(
            _CONDITIONS,
            """logs 1h | jq -r 'select(."chandlery.broker" == "NAME" and ."chandlery.operation" == "GetCatalog") | "\\(.message) \\(."error.message" // "")"' | tail     # what it has said""",
            'kubectl patch clusterservicebroker NAME --type=merge --patch "{\\"spec\\":{\\"relistRequests\\":$(date +%s)}}"      # try again now',
        ),
        over="the condition `Ready` of the broker is True.",
    ),
}
