"""Metrics of the workers: what waits, what is done, how long users wait for Ready."""

from typing import Final

from chandlery.telemetry.metric import LONG_SECONDS, Counter, Gauge, Histogram

ROUNDS: Final = Counter(
    name="chandlery_rounds_total",
    labels=("kind", "action", "outcome"),
    meaning="Rounds of the reconcile loop, by kind, by what was decided, and by what came of it.",
    question="What do the workers do, and what fails?",
)
ROUND_SECONDS: Final = Histogram(
    name="chandlery_round_duration_seconds",
    labels=("kind",),
    meaning="Seconds from a claim to its record, with the call to the service broker.",
    question="Are rounds slow?",
)
READY_SECONDS: Final = Histogram(
    name="chandlery_time_to_ready_seconds",
    labels=("kind", "broker"),
    meaning="Seconds from the write that changed the desired state to the condition Ready that it led to.",
    question="How long do users wait, and for which service broker?",
    bounds=LONG_SECONDS,
)
BACKLOG: Final = Gauge(
    name="chandlery_backlog",
    labels=("worker", "kind", "broker"),
    meaning="Objects that are due and that nobody works on, up to 20,000; 0 where nothing is. Counted by one process "
    "for all.",
    question="How much waits, for which worker and which service broker? For autoscaling, too (docs/operations.md).",
)
BACKLOG_AGE_SECONDS: Final = Gauge(
    name="chandlery_backlog_oldest_seconds",
    labels=("worker", "kind", "broker"),
    meaning="Seconds for which the oldest of the objects in chandlery_backlog has been due.",
    fold="max",
    question="How long has the oldest of it waited?",
)
OBJECTS: Final = Gauge(
    name="chandlery_objects",
    labels=("kind", "broker", "ready"),
    meaning="Objects by the status of their condition Ready, counted in the database by one process for all.",
    question="How many instances of which service broker are not Ready?",
)
WORK_IN_HAND: Final = Gauge(
    name="chandlery_work_in_hand",
    meaning="Objects that this process works on.",
    question="Is this process busy?",
)
LEASES_LOST: Final = Counter(
    name="chandlery_leases_lost_total",
    labels=("kind",),
    meaning="Rounds without effect, because their lease had ended or was somebody else's.",
    question="Are processes halted, or the database slow?",
)
SWEEPS: Final = Counter(
    name="chandlery_sweeps_total",
    labels=("outcome",),
    meaning="Rounds of the sweep, which sends again what was lost: done, or failed.",
    question="Does anybody sweep?",
)
SWEPT: Final = Counter(
    name="chandlery_swept_objects_total",
    labels=("kind",),
    meaning="Objects that were due and whose command the sweep has sent again.",
    question="Do commands get lost, or do workers not keep up?",
)
ORPHAN_MITIGATIONS: Final = Counter(
    name="chandlery_orphan_mitigations_total",
    labels=("kind", "broker", "outcome"),
    meaning="Requests to remove what a failed request may have left at the service broker: done, or failed.",
    question="Do service brokers keep what nobody wants?",
)
ROTATIONS: Final = Counter(
    name="chandlery_credential_rotations_total",
    labels=("broker", "outcome"),
    meaning="Rotations of a binding's credentials that have ended: done, or failed.",
    question="Are credentials renewed?",
)
BINDINGS_EXPIRING: Final = Gauge(
    name="chandlery_bindings_expiring",
    labels=("broker", "within"),
    meaning="Bindings whose credentials have expired or will within an hour, a day, a week, and that are not being "
    "rotated; counted in the database by one process for all.",
    question="Whose credentials will stop working?",
)
CATALOG_SYNCS: Final = Counter(
    name="chandlery_catalog_syncs_total",
    labels=("broker", "outcome"),
    meaning="Catalogs that were fetched: done, or failed.",
    question="Which service broker's catalog cannot be read?",
)
CATALOG_CHANGES: Final = Counter(
    name="chandlery_catalog_changes_total",
    labels=("broker", "change"),
    meaning="Classes and plans, by what a catalog has done to them: added, changed, retired (kept for instances), "
    "returned, removed.",
    question="Did an offering change, and when?",
)
CATALOG_SYNCED: Final = Gauge(
    name="chandlery_catalog_last_sync_timestamp_seconds",
    labels=("broker",),
    meaning="When the service broker's catalog was last read, in Unix time, looked up by one process for all.",
    fold="min",
    question="Which catalogs are old?",
)
EVERY: Final = (
    ROUNDS,
    ROUND_SECONDS,
    READY_SECONDS,
    BACKLOG,
    BACKLOG_AGE_SECONDS,
    OBJECTS,
    WORK_IN_HAND,
    LEASES_LOST,
    SWEEPS,
    SWEPT,
    ORPHAN_MITIGATIONS,
    ROTATIONS,
    BINDINGS_EXPIRING,
    CATALOG_SYNCS,
    CATALOG_CHANGES,
    CATALOG_SYNCED,
)
