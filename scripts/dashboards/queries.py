"""PromQL that several panels share, and the label that all selectors get."""

import re
from typing import Final

RATE: Final = "[$__rate_interval]"
NAMESPACE: Final = 'namespace=~"$namespace"'
_SELECTOR: Final = re.compile(r"\b((?:chandlery|process|python)_\w+|ALERTS|up)\b(\{)?(?!\()")
_CALLS: Final = "chandlery_broker_call_duration_seconds"
_FOR_ALL: Final = "|".join(
    (
        *("backlog", "backlog_oldest_seconds", "objects", "bindings_expiring", "replicas"),
        *("outbox_messages", "outbox_oldest_seconds", "dead_letters", "database_size_bytes"),
        "catalog_last_sync_timestamp_seconds",
    )
)
_COUNTED: Final = re.compile(rf"\bchandlery_(?:{_FOR_ALL})\b({{[^}}]*}})?")


def in_namespace(expr: str) -> str:
    """The same of the namespaces that the reader has chosen.

    What one process counts for all is taken of the last minute: while another one takes over, nobody tells it.
    """
    expr = _COUNTED.sub(lambda found: f"max_over_time({found[0]}[1m])", expr)
    return _SELECTOR.sub(lambda found: f"{found[1]}{{{NAMESPACE}" + (", " if found[2] else "}"), expr)


def quantile(share: float, metric: str, by: str, *, where: str = "", over: str = "$__rate_interval") -> str:
    """Such a quantile of a histogram, by these labels."""
    labels = f"{by}, le" if by else "le"
    # Not a number where nothing has happened: then there is nothing to show.
    return f"(histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[{over}]))) >= 0)"


def share(part: str, whole: str) -> str:
    """Part of the whole; 0 where there is no such part, nothing where there is no whole."""
    return f"(({part} or 0 * {whole}) / {whole} >= 0)"


def grown(series: str, over: str) -> str:
    """By how much counters have grown. The first time makes its series, of which increase() would see nothing.

    But what Prometheus itself has just met, and was there long before, has not grown.
    """
    seconds = {"1m": 60, "5m": 300, "10m": 600, "15m": 900, "1h": 3600}[over]
    is_known = f"chandlery_build_info offset {over} or process_start_time_seconds > time() - {seconds}"
    born = f"(({series} unless {series} offset {over}) and on (instance) ({is_known}))"
    return f"({born} or increase({series}[{over}]))"


def failed_calls(by: str, *, where: str = "", over: str = "") -> str:
    """The part of broker calls that the service broker, or the way to it, has failed; time-outs among them."""
    failed = f'{_CALLS}_count{{status!~"[1-4]xx"{f", {where}" if where else ""}}}'
    every = f"{_CALLS}_count{f'{{{where}}}' if where else ''}"
    if over:
        return share(f"sum by ({by}) ({grown(failed, over)})", f"sum by ({by}) ({grown(every, over)})")
    return share(f"sum by ({by}) (rate({failed}{RATE}))", f"sum by ({by}) (rate({every}{RATE}))")
