"""What a service broker tells of an instance: dashboard, plan and OSB `metadata`, made fit for a status. Pure.

Source of the metadata: OSB v2.17, "Service Instance Metadata": labels replace those of before, and those that break the
platform's syntax (here: Kubernetes' for labels) are passed over.
"""

import json
import re
from typing import Any

from chandlery.model.objects.instances import BrokerMetadata
from chandlery.model.objects.reasons import InstanceReason
from chandlery.model.text.clean_text import clean_document
from chandlery.model.text.names import subdomain_problem
from chandlery.model.text.shown_urls import url_problem
from chandlery.reconcile.answers import Answer
from chandlery_provisioner.absorb.instance_draft import InstanceDraft

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


def take_descriptions(draft: InstanceDraft, answer: Answer) -> None:
    """Take the dashboard's address and the metadata from an answer; what is absent or null stays as it was."""
    told = answer.secrets.struck_from({"metadata": answer.body.get("metadata")})
    draft.set(broker_metadata=adopted(draft.status.broker_metadata, told["metadata"]))
    url = answer.body.get("dashboard_url")
    if url in (None, ""):
        return
    problem = url_problem(url) or ("repeats a secret value" if answer.secrets.stand_in(url) else None)
    if problem is None:
        draft.set(dashboard_url=url)
        return
    message = f"The broker's dashboard_url {problem}, so it is not shown. The broker must return another one"
    draft.say(InstanceReason.DASHBOARD_REFUSED, message, is_warning=True)


def revise(draft: InstanceDraft, **fields: str) -> None:
    """Correct what is on record as what the broker has."""
    has = draft.status.external_properties
    if has is not None:
        draft.set(external_properties=has.model_copy(update=fields))


def adopt_plan(draft: InstanceDraft, plan_id: str) -> None:
    """The broker has the instance on another plan than we know of; its name is looked up in the next round."""
    draft.remember(plan_id=plan_id)
    has = draft.status.external_properties
    is_namespaced = has is not None and has.service_plan_external_id is not None
    prefix = "service_plan" if is_namespaced else "cluster_service_plan"
    revise(draft, **{f"{prefix}_external_id": plan_id, f"{prefix}_external_name": ""})


def _legal(labels: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if _is_key(key) and isinstance(value, str) and _is_value(value)}


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return _is_word(name) and (not slash or (bool(prefix) and subdomain_problem(prefix) is None))


def _is_value(value: str) -> bool:
    return not value or _is_word(value)


def _is_word(text: str) -> bool:
    return len(text) <= _LONGEST_WORD and _WORD.fullmatch(text) is not None
