"""Reads a policy file. What is wrong in it is told with the name of the field, and no part of it is used then."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import nearest_names
from chandlery_gateway.identity.audit.policy.audit_policy import STAGES, AuditPolicy, GroupResources, Level, Rule

_SETTING: Final = "CHANDLERY_AUDIT_POLICY_FILE"
_API_VERSION: Final = "audit.k8s.io/v1"
_MOST_BYTES: Final = 1 << 20
_OF_POLICY: Final = ("apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields")
_OF_RULE: Final = (
    "level",
    "users",
    "userGroups",
    "verbs",
    "resources",
    "namespaces",
    "nonResourceURLs",
    "omitStages",
    "omitManagedFields",
)
_OF_RESOURCES: Final = ("group", "resources", "resourceNames")
_LEVELS: Final = {level.word: level for level in Level}
_RESPONSES: Final = "RequestResponse"


class _Problem(Exception):
    """Where, and what would be right."""


def read_policy(path: Path) -> AuditPolicy:
    """The policy in the file. Raises ConfigurationFault that names the file, the field and what is wrong with it."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationFault(f"{_SETTING} {path} cannot be read: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise ConfigurationFault(f"{_SETTING} {path} is larger than {_MOST_BYTES} bytes, which no policy needs")
    try:
        return _policy(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigurationFault(f"{_SETTING} {path} is not valid YAML{place}") from error
    except (_Problem, RecursionError) as problem:
        raise ConfigurationFault(f"{_SETTING} {path}: {str(problem) or 'nested too deeply'}") from problem


def _policy(given: Any) -> AuditPolicy:
    if not isinstance(given, dict):
        raise _Problem(f"expected a Policy of {_API_VERSION}")
    _check_fields(given, _OF_POLICY, "")
    for field, wanted in (("apiVersion", _API_VERSION), ("kind", "Policy")):
        if given.get(field) != wanted:
            raise _Problem(f"{field}: must be {wanted}")
    rules = given.get("rules")
    if not isinstance(rules, list) or not rules:
        raise _Problem("rules: at least one rule is required; without one nothing would be recorded")
    return AuditPolicy(
        rules=tuple(_rule(each, f"rules[{number}]") for number, each in enumerate(rules)),
        omit_stages=_stages(given, ""),
    )


def _rule(given: Any, place: str) -> Rule:
    if not isinstance(given, dict):
        raise _Problem(f"{place}: must be an object with a level")
    _check_fields(given, _OF_RULE, f"{place}.")
    rule = Rule(
        level=_level(given.get("level"), f"{place}.level"),
        users=_texts(given, "users", place),
        user_groups=_texts(given, "userGroups", place),
        verbs=_texts(given, "verbs", place),
        resources=tuple(_resources(given, place)),
        namespaces=_texts(given, "namespaces", place),
        non_resource_urls=_texts(given, "nonResourceURLs", place),
        omit_stages=_stages(given, f"{place}."),
    )
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        raise _Problem(f"{place}.nonResourceURLs: a rule is about resources or about other paths, not both; make two")
    for number, url in enumerate(rule.non_resource_urls):
        if url != "*" and not (url.startswith("/") and "*" not in url[:-1]):
            raise _Problem(f"{place}.nonResourceURLs[{number}]: must be a path that begins with /, with a * at its end")
    return rule


def _level(given: Any, place: str) -> Level:
    if given == _RESPONSES:
        raise _Problem(
            f"{place}: {_RESPONSES} is not supported: answers are never stored, since they may hold credentials. "
            "Use Request, which keeps what was sent without secret values"
        )
    if not isinstance(given, str) or given not in _LEVELS:
        raise _Problem(f"{place}: must be one of {', '.join(_LEVELS)}")
    return _LEVELS[given]


def _resources(rule: Mapping[str, Any], place: str) -> Iterator[GroupResources]:
    for number, given in enumerate(_list(rule, "resources", place)):
        here = f"{place}.resources[{number}]"
        if not isinstance(given, dict):
            raise _Problem(f'{here}: must be an object with a group ("" for the core group) and resources')
        _check_fields(given, _OF_RESOURCES, f"{here}.")
        group = given.get("group") or ""
        if not isinstance(group, str) or "/" in group:
            raise _Problem(f"{here}.group: must be the name of an API group, without a version")
        names = _texts(given, "resourceNames", here)
        resources = _texts(given, "resources", here)
        if names and not resources:
            raise _Problem(f"{here}.resources: required where there are resourceNames")
        yield GroupResources(group=group, resources=resources, resource_names=names)


def _stages(given: Mapping[str, Any], prefix: str) -> frozenset[str]:
    stages = _texts(given, "omitStages", prefix.removesuffix("."))
    for number, stage in enumerate(stages):
        if stage not in STAGES:
            raise _Problem(f"{prefix}omitStages[{number}]: must be one of {', '.join(STAGES)}")
    return frozenset(stages)


def _texts(given: Mapping[str, Any], field: str, place: str) -> tuple[str, ...]:
    values = _list(given, field, place)
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise _Problem(f"{_at(place, field)}[{number}]: must be a string")
    return tuple(values)


def _list(given: Mapping[str, Any], field: str, place: str) -> Sequence[Any]:
    values = given.get(field)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise _Problem(f"{_at(place, field)}: must be a list")
    return values


def _at(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _check_fields(given: Mapping[Any, Any], known: Sequence[str], prefix: str) -> None:
    for field in given:
        if field not in known:
            near = nearest_names(str(field), known, most=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _Problem(f"{prefix}{quoted(str(field))} is not a field of it{hint}")
