# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about work: what is due, what users wait for, what is left over."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

WORK: Final[Mapping[str, Runbook]] = {
    "ChandleryBacklogOld": Runbook(
        means="Objects have been due for ten minutes and nobody works on them. Their users wait; nothing is lost.",
        look=(
            "Dashboard *Overview*, *Oldest work due*: one service broker, or all of them? **One**: its calls are all taken (dashboard *Service broker*, *Longest wait* and *Calls under way, by process*), so it is slow or hangs. **All, of one worker**: that worker is not there, or its queue brings nothing. **All, of all**: RabbitMQ or the database.",
            "*Processes of each worker* and *Processes not ready*.",
            "Dashboard *Messaging and store*: *Oldest message unsent* (commands do not get to RabbitMQ), *Sent again by the sweep* (they get lost on the way), *Transactions, 99 in a hundred take less*.",
        ),
        type=(
            "kubectl exec deploy/chandlery-provisioner -- chandlery doctor --only work --only rabbitmq      # are workers there, do queues have consumers?",
            "kubectl get pods --selector app.kubernetes.io/name=chandlery",
            "rabbitmqctl list_queues name messages consumers | grep -v '\\.dead'                             # messages without consumers: no worker listens",
            "rabbitmqctl purge_queue NAME                                                                   # a queue that brings nothing: the sweep fills it again within seconds",
            "kubectl scale deployment chandlery-provisioner --replicas=4                                    # all workers are busy, and no single service broker is slow",
        ),
        over="*Oldest work due* falls to seconds. A deep backlog falls in age before it falls in number.",
    ),
    "ChandleryTimeToReadyLong": Runbook(
        means="One in ten of what becomes Ready took longer than a quarter of an hour, from the write to the condition. Whether that is much depends on the service broker.",
        look=(
            "Dashboard *Service broker*, *Time to Ready*: since when? Compare with the days before.",
            "*Oldest work due*: waits it before its first call? Then see [ChandleryBacklogOld](#chandlerybacklogold).",
            "*Calls failed, by operation*, and *Calls by operation, nine in ten take less*: is it tried again, or are calls slow? If neither, the service broker takes so long for the operation itself (202 and polls): ask its operator.",
        ),
        type=(
            "kubectl get serviceinstanceoperations --all-namespaces --field-selector broker=NAME,since=6h      # attempts and duration of each, and the broker's words",
            "kubectl describe serviceinstance NAME",
        ),
        over="*Time to Ready, nine in ten take less* is where it was before.",
    ),
    "ChandleryOrphanMitigationFailing": Runbook(
        means="After a failed creation Chandlery asks the service broker to remove whatever may be left, and the service broker does not confirm it. It is asked again without end. Until then something may be running there that nobody uses, and the object cannot be tried again or removed.",
        look=(
            "Dashboard *Service broker*, *Leftovers removed* and *Calls failed, by operation*: does `DeprovisionInstance` or `Unbind` fail alone? Then it is the service broker's own fault.",
            "The objects: STATUS `StartingInstanceOrphanMitigation`, `OrphanMitigationRequired`, `ServiceBindingNeedsOrphanMitigation`; the message has the broker's words.",
        ),
        type=(
            "kubectl get serviceinstances,servicebindings --all-namespaces | grep -i -e orphan -e DeprovisionCallFailed -e UnbindCallFailed",
            "kubectl describe serviceinstance NAME",
            "kubectl get serviceinstanceoperations --all-namespaces --field-selector operation=OrphanMitigation,since=24h",
            "kubectl annotate serviceinstance NAME --overwrite chandlery.io/retry-requested-at=$(date +%s)      # ask again now",
            "kubectl annotate serviceinstance NAME chandlery.io/orphan-mitigation=Waive                         # once its operator says that nothing is left, or will see to it",
        ),
        over="*Leftovers removed* shows no `failed` for an hour.",
    ),
    "ChandleryCredentialsExpiring": Runbook(
        means="Bindings have credentials that expire within a day, and no rotation is under way. Programs that use them will be locked out.",
        look=(
            "Dashboard *Service broker*, *Credentials that expire* and *Credentials renewed in an hour*: do rotations fail, or does nobody rotate?",
            "The bindings: the message of `Ready`, and `status.expiresAt`.",
        ),
        type=(
            """kubectl get servicebindings --all-namespaces -o json | jq -r '.items[] | select(.status.expiresAt) | "\\(.status.expiresAt) \\(.metadata.namespace)/\\(.metadata.name)"' | sort | head""",
            "kubectl get servicebindingoperations --all-namespaces --field-selector operation=Rotate,since=24h      # rotations, and what came of them",
            "kubectl annotate servicebinding NAME --overwrite chandlery.io/rotate-requested-at=$(date +%s)      # new credentials; the old ones go CHANDLERY_ROTATION_GRACE_SECONDS later",
            "kubectl describe servicebinding NAME                                                               # what the broker says of it",
        ),
        over="*Credentials that expire*, within a day, is 0. Programs that read the Secret only at their start have to be restarted.",
    ),
    "ChandleryNobodySweeps": Runbook(
        means="One process of the workers looks each second for what is due, and counts what is in the database for all. Now nobody does: messages that were lost are not sent again, what is old is not removed, and the alerts on backlog, outbox and replicas have no numbers.",
        look=(
            "Dashboard *Overview*, *Processes of each worker* and *Processes*: do workers run, and are they ready?",
            "Dashboard *Messaging and store*, *Sweeps*: nothing at all means that no worker is there, or that all of them hang; `failed`, that it is tried, and the log says why (action `sweep`).",
        ),
        type=(
            "kubectl get pods --selector app.kubernetes.io/name=chandlery",
            """logs | jq -r 'select(."event.action" == "sweep") | "\\(."@timestamp") \\(."host.name") \\(.message) \\(."error.message" // "")"' | tail""",
            "kubectl exec deploy/chandlery-provisioner -- chandlery doctor --only database --only work",
            "kubectl rollout restart deployment chandlery-provisioner chandlery-binder chandlery-syncer      # if they run and do nothing: restarts lose nothing",
        ),
        over="*Sweeps*, `done`, is back at about one in a second, and the numbers of *Work due* are there again.",
    ),
}
