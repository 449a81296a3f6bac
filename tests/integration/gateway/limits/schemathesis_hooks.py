"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): leads what it makes up to objects that exist, and away from waiting.

Of names it makes up alone, hardly one is found, and everything behind the look-up would never be reached.
"""

import itertools
from typing import Any

import schemathesis

_COUNT = itertools.count()
_WAITS = frozenset({"", "false", "0", "none"})


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Two of three requests are about `seed` in `team`; a watch, which would stay open, is a list."""
    query: Any = case.query
    if isinstance(query, dict) and str(query.get("watch", "")).lower() not in _WAITS:
        query["watch"] = "false"
    if isinstance(query, dict) and str(query.get("resourceVersion", "")).isdecimal():
        # A version that is still to come is answered 504, as API servers do.
        query["resourceVersion"] = "0"
    parameters: Any = case.path_parameters
    if next(_COUNT) % 3 == 0 or not isinstance(parameters, dict):
        return
    for name, real in (("namespace", "team"), ("name", "seed")):
        if name in parameters:
            parameters[name] = real
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("metadata"), dict) and "name" in parameters:
        body["metadata"]["name"] = "seed"
