"""Metrics of the gateway: requests, seats, watches, and who was not let in."""

from typing import Final

from chandlery.telemetry.metric import SHORT_SECONDS, Counter, Gauge, Histogram

API_REQUESTS: Final = Counter(
    name="chandlery_api_requests_total",
    labels=("route", "verb", "code"),
    meaning="API requests that were answered, by resource (or kind of page), verb and HTTP status code.",
    question="How much is asked of the API, and how much of it fails?",
)
API_REQUEST_SECONDS: Final = Histogram(
    name="chandlery_api_request_duration_seconds",
    labels=("route", "verb"),
    meaning="Seconds from the head of an API request to the end of its answer; watches are not among them.",
    question="Is the API slow, and for which requests?",
)
SEATS: Final = Gauge(
    name="chandlery_api_seats",
    labels=("class",),
    meaning="Requests of a class that are served at a time, at most.",
    question="How much can the gateway serve at once?",
)
SEATS_TAKEN: Final = Gauge(
    name="chandlery_api_seats_taken",
    labels=("class",),
    meaning="Requests of a class that are being served.",
    question="Is the gateway busy?",
)
REQUESTS_WAITING: Final = Gauge(
    name="chandlery_api_requests_waiting",
    labels=("class",),
    meaning="Requests of a class that wait for a seat.",
    question="Do clients queue?",
)
REQUEST_WAIT_SECONDS: Final = Histogram(
    name="chandlery_api_request_wait_seconds",
    labels=("class",),
    meaning="Seconds that a request waited for its seat.",
    question="For how long do clients queue?",
    bounds=SHORT_SECONDS,
)
REQUESTS_REFUSED: Final = Counter(
    name="chandlery_api_requests_refused_total",
    labels=("class",),
    meaning="Requests of a class that were answered 429 because too many waited.",
    question="Are clients sent away?",
)
WATCHES: Final = Gauge(
    name="chandlery_watches",
    labels=("route",),
    meaning="Watches that are open, by resource.",
    question="How many clients follow changes?",
)
WATCH_EVENTS: Final = Counter(
    name="chandlery_watch_events_total",
    labels=("route",),
    meaning="Events sent to watches, by resource.",
    question="How much do watches cost?",
)
CHANGE_LOG_LAG_SECONDS: Final = Gauge(
    name="chandlery_change_log_lag_seconds",
    meaning="Age of the oldest committed change that this gateway has not handed to its watches; 0 without one.",
    question="Do watches tell of changes late?",
)
WATCH_HUB_TURN_AGE_SECONDS: Final = Gauge(
    name="chandlery_watch_hub_turn_age_seconds",
    meaning="Seconds since this gateway last finished reading the change log.",
    question="Does the watch hub stand still?",
)
WRITES: Final = Counter(
    name="chandlery_writes_total",
    labels=("kind", "verb"),
    meaning="Objects that the API has created, updated, patched or deleted, dry runs left out.",
    question="What do users change?",
)
AUTHENTICATION_FAILURES: Final = Counter(
    name="chandlery_authentication_failures_total",
    labels=("reason",),
    meaning="Requests with credentials that were not accepted, by the reason that the audit log has.",
    question="Does somebody guess, or has a token run out?",
)
AUTHORIZATION_DECISIONS: Final = Counter(
    name="chandlery_authorization_decisions_total",
    labels=("decision",),
    meaning="Decisions of the authorizer: allow or forbid.",
    question="Are users refused more than usual?",
)
CLUSTER_REVIEWS: Final = Counter(
    name="chandlery_cluster_reviews_total",
    labels=("review", "outcome"),
    meaning="In a cluster: what it was to be asked about users, by review (access or token) and outcome: allowed, "
    "refused, failed (it gave no answer), or remembered (not asked: an answer still counted or was on its way).",
    question="How much does the gateway ask of the cluster, and does it get answers?",
)
AUDIT_EVENTS_LOST: Final = Counter(
    name="chandlery_audit_events_lost_total",
    labels=("sink",),
    meaning="Events that could not be written to an audit log.",
    question="Is the audit log complete?",
)
EVERY: Final = (
    API_REQUESTS,
    API_REQUEST_SECONDS,
    SEATS,
    SEATS_TAKEN,
    REQUESTS_WAITING,
    REQUEST_WAIT_SECONDS,
    REQUESTS_REFUSED,
    WATCHES,
    WATCH_EVENTS,
    CHANGE_LOG_LAG_SECONDS,
    WATCH_HUB_TURN_AGE_SECONDS,
    WRITES,
    AUTHENTICATION_FAILURES,
    AUTHORIZATION_DECISIONS,
    CLUSTER_REVIEWS,
    AUDIT_EVENTS_LOST,
)
