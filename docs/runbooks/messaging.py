# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about the outbox and RabbitMQ."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

MESSAGING: Final[Mapping[str, Runbook]] = {
    "ChandleryOutboxStuck": Runbook(
        means="Messages are committed in the database and RabbitMQ does not have them. Writes of users are accepted and stored, but work on them begins only when the sweep finds it, or not at all while RabbitMQ is away. Nothing is lost for `CHANDLERY_OUTBOX_HOURS` (24), and after that the sweep still finds all that is due.",
        look=(
            "Dashboard *Messaging and store*, *Not on the bus*: **all processes**: RabbitMQ is away, or refuses the login. **None**: it is connected and takes no messages, which is an alarm of memory or disk, or a queue that is full. **One**: that process alone, see [ChandleryBusDisconnected](#chandlerybusdisconnected).",
            "*Messages given to the bus*: `failed`; and *Seconds until the bus has them, 99 in a hundred less*.",
            "*Transactions, 99 in a hundred take less*: a slow database keeps the outbox from being read, too.",
        ),
        type=(
            "kubectl exec deploy/chandlery-gateway -- chandlery doctor --only rabbitmq",
            "rabbitmqctl list_alarms                                              # memory or disk: make room, or raise the watermark",
            "rabbitmqctl list_queues name messages consumers state",
            """logs | jq -r 'select(."event.action" == "relay_messages") | "\\(."@timestamp") \\(.message) \\(."error.message" // "")"' | tail      # RabbitMQ's words""",
        ),
        over="*Oldest message in the outbox* is 0 again. What waited is sent within seconds, in order.",
    ),
    "ChandleryBusDisconnected": Runbook(
        means="A process has not been connected to RabbitMQ for minutes. A gateway goes on serving, and its messages wait in the outbox; a worker does nothing and is not ready.",
        look=(
            "Dashboard *Messaging and store*, *Connected to the bus*: all processes, or this one? All: RabbitMQ. One: its network, its login, its certificate.",
            "*Connections to the bus lost in an hour*: again and again means that something in between cuts idle connections, or that heartbeats are missed because the process is held (*Event loop late*).",
        ),
        type=(
            """logs | jq -r 'select(."event.action" == "connect_amqp" or ."event.action" == "reconnect_amqp") | "\\(."@timestamp") \\(."host.name") \\(.message) \\(."error.message" // "")"' | tail""",
            "kubectl exec POD -- chandlery doctor --only rabbitmq                 # from where it runs",
            "rabbitmqctl list_connections name state user | grep chandlery",
        ),
        over="*Connected to the bus* is 1 for each process.",
    ),
    "ChandleryDeadLetters": Runbook(
        means="A message was given up on: its handler raised three times, its process died with it twenty times, or nobody can read it. Nothing is lost: the work is in the database, and the sweep sends another command. But it is a bug, or a message of another release.",
        look=(
            "REASON and `error` of `chandlery deadletters list`. `HandlerFailed`: the log has the exception (action `dead_letter_message`). `DeliveredTooOften`: processes die, for want of memory maybe. `Unreadable`: of another release.",
            "Dashboard *Messaging and store*, *Dead letters*: since when; and *Messages handled*.",
        ),
        type=(
            "chandlery deadletters list",
            "chandlery deadletters show ID --body",
            """logs 24h | jq -r 'select(."event.action" == "dead_letter_message" or ."event.action" == "retry_message") | "\\(."@timestamp") \\(.message) \\(."error.type" // "") \\(."error.message" // "")"' | tail""",
            "chandlery deadletters replay --all          # after the cause is gone; or drop --all, since the sweep has sent others",
        ),
        over="`chandlery deadletters list` is empty. Please report what its log said.",
    ),
}
