# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about processes: are they there, are they well, are their certificates."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

_PODS: Final = "kubectl get pods --selector app.kubernetes.io/name=chandlery"

PROCESSES: Final[Mapping[str, Runbook]] = {
    "ChandleryNotScraped": Runbook(
        means="Prometheus has no metrics of any process of Chandlery. Either none runs, or they cannot be scraped. No other alert can fire as long as that is so.",
        look=(
            "Prometheus, *Status*, *Targets*: is there a target at all, and what is its error? `connection refused`: the process, or `CHANDLERY_METRICS_PORT` (and `CHANDLERY_METRICS_HOST`, which is loopback unless it is set). `401` or `403`: the token, where the gateway's own port is scraped.",
            "Whether the API answers: `kubectl get --raw /readyz`.",
        ),
        type=(
            _PODS,
            "kubectl get --raw '/readyz?verbose'",
            "kubectl exec deploy/chandlery-gateway -- python -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9464/metrics\").read(300).decode())'      # its port of metrics",
            "kubectl get events --sort-by=.lastTimestamp | tail",
        ),
        over="the dashboard *Overview* lists the processes. Look at its first row then: what was there while nobody saw it?",
    ),
    "ChandleryReplicasGone": Runbook(
        means="No process of this worker has told the database of itself lately. Its queues grow and its users wait; nothing is lost. One that has a wrong setting or **a key that is not that of the database** does not start: it ends with one sentence, again and again.",
        look=(
            "Its pods: `CrashLoopBackOff`, `Pending`, scaled to 0? The last line of a process that ends says why, with status 2 for a setting and 1 for a server. It begins with `chandlery:` and is no JSON, so `logs` leaves it out.",
            "`the encryption keys do not match the database` in that line: put the key that it names back into `CHANDLERY_ENCRYPTION_KEYS`, or into the file of `CHANDLERY_ENCRYPTION_KEYS_FILE`. Compare with a worker that runs (`chandlery doctor --only keys` there is green). Nothing was written with the wrong key.",
            "If pods run: are they ready? A worker without RabbitMQ or the database is not. One that runs and answers nothing, Prometheus neither (dashboard *Overview*, *Processes*, `answers` is 0), is held or halted: delete its pod.",
        ),
        type=(
            "kubectl get pods --selector app.kubernetes.io/component=WORKER",
            "kubectl logs --selector app.kubernetes.io/component=WORKER --previous --tail=1        # its last words; without --previous if it says that there is none",
            "kubectl describe pod --selector app.kubernetes.io/component=WORKER | grep -A8 -e 'Last State' -e Events:",
            "kubectl scale deployment chandlery-WORKER --replicas=2",
        ),
        over="*Processes of each worker* is above 0; what waited is worked off by itself.",
    ),
    "ChandleryProcessNotReady": Runbook(
        means="A check of `/readyz` that this process cannot do without has failed for five minutes: it answers 503. A gateway gets no requests from a load balancer meanwhile; a worker has stopped what needs what is missing.",
        look=(
            "The label `check` of the alert, and dashboard *Process*, *Checks of /readyz*. `database`: PostgreSQL, or a schema that has not been migrated. `rabbitmq`: see [ChandleryBusDisconnected](#chandlerybusdisconnected); of workers alone, for a gateway is ready without it. `data-keys`: see [ChandleryKeyProviderFailing](#chandlerykeyproviderfailing). `watches`: see [ChandleryWatchHubStalled](#chandlerywatchhubstalled). `startup` for minutes: it waits for a server, and its log says for which.",
            "All processes or one: the server, or the way to it.",
        ),
        type=(
            "kubectl exec POD -- chandlery doctor",
            "kubectl get --raw '/readyz?verbose'                      # of a gateway, in its own words",
            _PODS,
        ),
        over="*Checks that fail* is 0. Processes need no restart: they go on as soon as the server is back.",
    ),
    "ChandleryEventLoopHeld": Runbook(
        means="One in a hundred times this process was a tenth of a second late, or more: in everything that it does. Leases and heartbeats may be late, too.",
        look=(
            "Dashboard *Process*, *Processor*: at its limit it is throttled. The chart sets no limit of processors; a namespace may.",
            "*API requests by route* and *Rounds*: is there more to do than usual? Add replicas.",
            "*Memory*: a machine that swaps is late in everything.",
        ),
        type=(
            "kubectl top pods --selector app.kubernetes.io/name=chandlery",
            "kubectl get pods --selector app.kubernetes.io/name=chandlery -o custom-columns='NAME:.metadata.name,LIMITS:.spec.containers[*].resources.limits'",
            "kubectl scale deployment chandlery-gateway --replicas=4",
        ),
        over="*Event loop late* is below 0.1 s. If the processor is idle and it is late all the same, that is a bug: report which routes or rounds were at work.",
    ),
    "ChandleryCertificateExpiring": Runbook(
        means="A certificate that this installation shows to others ends soon: as a ticket within two weeks, as a page within two days. Then clients, RabbitMQ, PostgreSQL or service brokers refuse the connection.",
        look=(
            "The label `certificate`: whose it is. Dashboard *Messaging and store*, *Certificates end in*.",
            "Who was to renew it: `kubectl describe certificate` where cert-manager does.",
        ),
        type=(
            "kubectl exec deploy/chandlery-gateway -- chandlery doctor --only certificates",
            "kubectl get secret NAME -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -enddate -subject",
            "kubectl get certificates,certificaterequests                 # cert-manager's own words",
        ),
        over="*Certificates end in* is weeks again. Files that are renewed are read without a restart, for new connections.",
    ),
}
