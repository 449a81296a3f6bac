"""What a service broker tells of an instance for people and tools: OSB `metadata`, made fit for a status. Pure.

Source: OSB v2.17, "Service Instance Metadata": labels replace those of before, and those that break the platform's
syntax (here: Kubernetes' for labels) are passed over.
"""

import json
import re
from typing import Any

from chandlery.model.objects.instances import BrokerMetadata
from chandlery.model.text.clean_text import clean_document
from chandlery.model.text.names import subdomain_problem

LONGEST_ATTRIBUTES = 16_384
"""Characters of JSON text. More is no metadata, and everybody who lists instances would get it."""

_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_WORD = 63


def adopted(before: BrokerMetadata | None, told: Any) -> BrokerMetadata | None:
    """The metadata after an answer that says `told`; what it is silent on stays."""
    if not isinstance(told, dict):
        return before
    labels, attributes = told.get("labels"), told.get("attributes")
    after = before or BrokerMetadata()
    if isinstance(labels, dict):
        after = after.model_copy(update={"labels": _legal(labels) or None})
    if isinstance(attributes, dict) and len(json.dumps(attributes)) <= LONGEST_ATTRIBUTES:
        after = after.model_copy(update={"attributes": clean_document(attributes) or None})
    return None if after == BrokerMetadata() else after


def _legal(labels: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if _is_key(key) and isinstance(value, str) and _is_value(value)}


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return _is_word(name) and (not slash or (bool(prefix) and subdomain_problem(prefix) is None))


def _is_value(value: str) -> bool:
    return not value or _is_word(value)


def _is_word(text: str) -> bool:
    return len(text) <= _LONGEST_WORD and _WORD.fullmatch(text) is not None
