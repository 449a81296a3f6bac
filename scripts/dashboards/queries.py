"""PromQL that several panels share, and the label that all selectors get."""

import re
from typing import Final

NAMESPACE: Final = 'namespace=~"$namespace"'
_SELECTOR: Final = re.compile(r"\b((?:chandlery|process|python)_\w+|ALERTS|up)\b(\{)?(?!\()")
_CALLS: Final = "chandlery_broker_call_duration_seconds"


def in_namespace(expr: str) -> str:
    """The same of the namespaces that the reader has chosen."""
    return _SELECTOR.sub(lambda found: f"{found[1]}{{{NAMESPACE}" + (", " if found[2] else "}"), expr)


def quantile(share: float, metric: str, by: str, *, where: str = "", over: str = "$__rate_interval") -> str:
    """Such a quantile of a histogram, by these labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[{over}])))"


def share(part: str, whole: str) -> str:
    """Part of the whole; 0 where there is no such part, nothing where there is no whole."""
    return f"({part} or 0 * {whole}) / {whole}"


def failed_calls(by: str, *, where: str = "", over: str = "$__rate_interval") -> str:
    """The part of broker calls that the service broker, or the way to it, has failed; time-outs among them."""
    inner = f", {where}" if where else ""
    return share(
        f'sum by ({by}) (rate({_CALLS}_count{{status!~"[1-4]xx"{inner}}}[{over}]))',
        f"sum by ({by}) (rate({_CALLS}_count{{{where}}}[{over}]))"
        if where
        else f"sum by ({by}) (rate({_CALLS}_count[{over}]))",
    )
