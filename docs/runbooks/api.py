# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about the gateway: requests, watches, logins, audit."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

API: Final[Mapping[str, Runbook]] = {
    "ChandleryApiErrors": Runbook(
        means="The gateways answer more requests with 5xx than one in a thousand, which is what may fail in a month: as a page, so many that the month's allowance is gone within days; as a ticket, a few for three days. Users see errors, controllers try again.",
        look=(
            "Dashboard *Overview*, *Requests by code*. `503`: the database, a key provider or a token endpoint is away, and the answer says which. `500`: a bug, or a row that cannot be decrypted. `504`: something took too long.",
            "*Requests, 99 in a hundred take less*, and dashboard *Messaging and store*, *Transactions failed*.",
            "Dashboard *Process*, *API requests by route*: one gateway or one route alone?",
        ),
        type=(
            """logs | jq -r 'select(."http.response.status_code" >= 500) | "\\(."http.response.status_code") \\(."http.request.method" // "") \\(."url.path" // "") \\(."error.message" // .message)"' | sort | uniq -c | sort -rn | head""",
            "kubectl exec deploy/chandlery-gateway -- chandlery doctor",
            "kubectl get --raw '/readyz?verbose'",
            """logs | jq 'select(."trace.id" == "TRACE") | .message'                # the message of a 5xx names its trace""",
        ),
        over="*API requests failed* is below one in a thousand. The page ends half an hour after the last errors at the latest.",
    ),
    "ChandleryWatchHubStalled": Runbook(
        means="This gateway reads the change log at least twice a second, for all its watches at once, and has not for half a minute. Its watches are silent: controllers and `kubectl get --watch` see nothing new. What is asked for is still answered. Roles that were changed do not count there yet.",
        look=(
            "Dashboard *Messaging and store*, *Watches behind*: this gateway, or all? All: the database. One: its connection to it, or the process is held (dashboard *Process*, *Event loop late*).",
            "The log of this gateway, action `follow_changes`.",
        ),
        type=(
            """logs | jq -r 'select(."event.action" == "follow_changes") | "\\(."@timestamp") \\(."host.name") \\(.message)"' | tail""",
            "kubectl exec POD -- chandlery doctor --only database",
            "kubectl delete pod POD             # clients connect to another gateway and go on from where they were",
        ),
        over="*Watches behind*, since it last read, is below a second.",
    ),
    "ChandleryChangeLogBehind": Runbook(
        means="Changes are committed that the watches of this gateway have not been told. Resource versions have an order, so one transaction that stays open in the same PostgreSQL server holds back all that were committed after it began, whoever it belongs to.",
        look=(
            "Dashboard *Messaging and store*, *Watches behind*: **all gateways alike**: an open transaction. **One**: it does not keep up; look at its event loop and its processor.",
            "PostgreSQL's own list of transactions. Ours are ended after 60 s; others, also of other databases in this server, are not.",
        ),
        type=(
            "psql \"$URL\" -c 'SELECT pid, datname, application_name, state, xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start'",
            "psql \"$URL\" -c 'SELECT pg_terminate_backend(PID)'          # if it is nobody's who minds",
            "psql \"$URL\" -c 'SELECT gid, prepared FROM pg_prepared_xacts'      # a prepared transaction that was forgotten does the same: ROLLBACK PREPARED",
        ),
        over="*Watches behind* is 0. Nothing was lost: watches are told all of it, in order.",
    ),
    "ChandleryAuthenticationFailures": Runbook(
        means="More than one request in a second has credentials that are not accepted. Nobody is let in by that, and others are not slowed. Most often a program has a token that has run out.",
        look=(
            "Dashboard *Messaging and store*, *Credentials not accepted*: the reason. `expired`: a program has not renewed its token. `unknown token`: somebody guesses, or the token was revoked. `keys of the issuer cannot be fetched`: the identity provider is away, and none of its users gets in.",
            "The log, action `failed_authentication`: it names the address, or the network, and counts.",
        ),
        type=(
            """logs 1h | jq -r 'select(."event.action" == "failed_authentication") | "\\(."client.address") \\(.message)"' | sort | uniq -c | sort -rn | head""",
            "chandlery token list                                        # tokens of service accounts, and when they end",
            "kubectl get auditevents --field-selector responseStatus.code=401      # who, when, from where",
        ),
        over="*Credentials not accepted* is below one in a second. Somebody who guesses is kept out at the load balancer: each address that fails ten times gets its answer a second late, and that is all that is done here.",
    ),
    "ChandleryAuditEventsLost": Runbook(
        means="Requests were served that the audit log has no event of, because it could not be written. How many is told by the alert; which ones cannot be known. What this installation promises of its audit log is not kept as long as it goes on.",
        look=(
            "The label `sink`: `table` is the database, a file is a disk.",
            "Dashboard *Messaging and store*, *Audit events lost*, *Transactions failed*, *Disk left*.",
            "The log, action `write_audit_log`.",
        ),
        type=(
            """logs 1h | jq -r 'select(."event.action" == "write_audit_log") | "\\(."@timestamp") \\(."host.name") \\(.message) \\(."error.message" // "")"' | tail""",
            "kubectl exec deploy/chandlery-gateway -- chandlery doctor",
            "# Where no request may go unrecorded: CHANDLERY_AUDIT_UNWRITABLE=refuse answers 503 instead.",
        ),
        over="*Audit events lost* is 0 for a quarter of an hour. Note the time: the log itself says from when to when it has a gap.",
    ),
}
