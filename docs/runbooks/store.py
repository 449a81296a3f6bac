# ruff: noqa: INP001, E501 - part of a script, with the lines of a page
"""Runbooks of the alerts about the database, the keys and the disk."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.runbook import Runbook

STORE: Final[Mapping[str, Runbook]] = {
    "ChandleryTransactionsFailing": Runbook(
        means="More than one in twenty transactions fails, those not counted that were repeated because of a race. Requests are answered 503, and rounds are put off.",
        look=(
            "Dashboard *Messaging and store*, *Transactions by outcome*: all of them: PostgreSQL is away, or takes no writes (a full disk, a standby). Some: connections break, or statements time out.",
            "*Connections in use* and *Transactions, 99 in a hundred take less*.",
        ),
        type=(
            "kubectl exec deploy/chandlery-gateway -- chandlery doctor --only database",
            """logs | jq -r 'select(."log.level" != "info" and ((."error.type" // "") + .message | test("database|Postgres"; "i"))) | "\\(."host.name") \\(.message) \\(."error.message" // "")"' | sort | uniq -c | sort -rn | head""",
            "psql \"$URL\" -c 'SELECT pg_is_in_recovery(), count(*) FROM pg_stat_activity'",
        ),
        over="*Transactions failed* is 0. What was put off is done within a minute.",
    ),
    "ChandleryDatabasePoolExhausted": Runbook(
        means="All connections that this process may have (`CHANDLERY_DATABASE_POOL_SIZE`, 10) are in use, for minutes. Requests and rounds wait for one.",
        look=(
            "Dashboard *Process*, *Transactions, 99 in a hundred take less*: **slow**: it is the database (locks, disk, a missing vacuum), and more connections would make it worse. **Fast**: there is more work than ten connections can carry.",
            "*Work in hand*, and *Seats taken* on the overview: who brings the work.",
        ),
        type=(
            'psql "$URL" -c "SELECT pid, state, wait_event_type, now() - xact_start AS open, left(query, 80) FROM pg_stat_activity WHERE application_name LIKE \'chandlery%\' ORDER BY xact_start"     # who waits for whom',
            "kubectl scale deployment chandlery-provisioner --replicas=4      # fast transactions, much work",
            "kubectl set env deployment/chandlery-gateway CHANDLERY_DATABASE_POOL_SIZE=20      # mind max_connections of PostgreSQL: all processes together",
        ),
        over="*Connections in use* is below 1 most of the time.",
    ),
    "ChandleryKeyMissing": Runbook(
        means="Something stored could not be decrypted, because the key that wraps it is not among those that this process has, or because the row was changed or moved. Secrets show no data and say why in `chandlery.io/unreadable`; bindings write theirs again where they can. **Nothing is overwritten in the meantime**: when the key comes back, all is readable again.",
        look=(
            "The label `reason` of the alert: **key missing** is a matter of settings, most often after a rotation or a restore of the database with the keys of another installation. **changed** means that a row was written over, or does not belong where it is.",
            "A process that is started with a wrong key ends at once and counts nothing here: [ChandleryReplicasGone](#chandleryreplicasgone). A key that is taken out of the file of a running one is missed within seconds: *Overview*, *Keys missing*, and `key-provider` in `/readyz?verbose`.",
            "Dashboard *Messaging and store*, *Texts not decrypted*: one process alone has other settings than the rest; all: the key was taken out everywhere.",
            "The log, action `open_secret`, `use_data_key` or `provide_data_key`: it names the key.",
        ),
        type=(
            "kubectl exec deploy/chandlery-binder -- chandlery keys list             # which keys are used for what, and which is missing",
            "kubectl exec deploy/chandlery-binder -- chandlery doctor --only keys",
            """logs | jq -r 'select(."event.action" == "open_secret" or ."event.action" == "use_data_key" or ."event.action" == "provide_data_key") | "\\(."host.name") \\(."chandlery.key" // "") \\(.message)"' | sort | uniq -c""",
            """kubectl get secrets --all-namespaces -o json | jq -r '.items[] | select(.metadata.annotations["chandlery.io/unreadable"]) | "\\(.metadata.namespace)/\\(.metadata.name)"'      # whose""",
            "# Put the key back at the end of CHANDLERY_ENCRYPTION_KEYS, everywhere, and restart; or of the file, which is read without a restart.",
        ),
        over="`chandlery keys list` knows every key that is in use, and *Texts not decrypted* is 0. If the key is gone for good: rotate each binding (`chandlery.io/rotate-requested-at`), which fetches other credentials.",
    ),
    "ChandleryKeyProviderFailing": Runbook(
        means="The provider of key-encryption keys (settings or their file, AWS KMS, a PKCS#11 token) does not wrap or unwrap, for all processes or for the one that the alert names. With data keys in memory all goes on for `CHANDLERY_DATA_KEY_CACHE_SECONDS` (an hour); after that Secrets can be neither read nor written (503), and processes that start wait.",
        look=(
            "Dashboard *Messaging and store*, *Key provider by outcome*: since when? The hour runs from there.",
            "*Overview*, *Keys missing*: how many processes.",
            "`/readyz?verbose`: `key-provider` while data keys are in memory, `data-keys` once they are not.",
        ),
        type=(
            "kubectl exec deploy/chandlery-binder -- chandlery keys list             # the provider's own words",
            "kubectl exec deploy/chandlery-binder -- chandlery doctor --only keys",
            """logs | jq -r 'select(."event.action" == "provide_data_key" or ."event.action" == "keep_data_keys" or ."event.action" == "read_keys") | "\\(.message) \\(."error.message" // "")"' | tail""",
            "# The file of CHANDLERY_ENCRYPTION_KEYS_FILE: put the key that is named back into it; processes read it within a second, without a restart.",
            "# AWS KMS: is the key enabled, may the role kms:Decrypt and kms:Encrypt, is the endpoint reached? PKCS#11: is the token there, is the PIN right?",
            "# Do not restart processes meanwhile: their data keys are in memory.",
        ),
        over="*Key provider failed* is 0 and `/readyz?verbose` names neither of the two.",
    ),
    "ChandleryDiskNearlyFull": Runbook(
        means="The disk on which this process writes (its SQLite database, its audit log) has little left. When it is full, requests that write are answered 503 and `/readyz` is 503; nothing is damaged.",
        look=(
            "Dashboard *Messaging and store*, *Disk left* and *Size of the database*: how fast, and is it ours that grows?",
        ),
        type=(
            "du -xh FOLDER | sort -h | tail                                         # FOLDER is the label of the alert",
            "ls -l FOLDER/*-wal                                                      # SQLite's log is taken back when nobody reads for long: a restart helps",
            "# The audit log keeps CHANDLERY_AUDIT_LOG_FILES files of CHANDLERY_AUDIT_LOG_MEBIBYTES each; the oldest may go.",
            "# The database forgets by CHANDLERY_AUDIT_HOURS, CHANDLERY_EVENT_HOURS and CHANDLERY_CHANGE_LOG_HOURS.",
        ),
        over="*Disk left* is above a fifth and does not fall.",
    ),
}
