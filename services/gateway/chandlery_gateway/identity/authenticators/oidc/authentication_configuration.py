"""Reads the `jwt` list of a file in the form of Kubernetes' AuthenticationConfiguration (apiserver.config.k8s.io).

A sound part of it. What is not understood is refused with a sentence and never passed over: a rule that does not count
would let in whom it was to keep out. Source: Kubernetes, "Authenticating", "Authentication configuration from a file".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.identity.authenticators.oidc.issuers import (
    ClaimMappings,
    Issuer,
    prefix_problems,
    url_problems,
)

_SETTING: Final = "CHANDLERY_AUTHENTICATION_CONFIG"
_MOST_ISSUERS: Final = 64
_EXPRESSIONS: Final = frozenset({"expression", "messageExpression", "valueExpression", "userValidationRules", "extra"})


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class _IssuerPart(_Part):
    url: str
    discovery_url: str = Field(default="", alias="discoveryURL")
    certificate_authority: str = ""
    audiences: list[str] = Field(min_length=1)
    audience_match_policy: Literal["", "MatchAny"] = ""


class _Rule(_Part):
    claim: str = Field(min_length=1)
    required_value: str


class _Prefixed(_Part):
    claim: str = Field(min_length=1)
    prefix: str


class _Groups(_Part):
    claim: str = ""
    prefix: str | None = None


class _Uid(_Part):
    claim: str = ""


class _Mappings(_Part):
    username: _Prefixed
    groups: _Groups = _Groups()
    uid: _Uid = _Uid()


class _Jwt(_Part):
    issuer: _IssuerPart
    claim_validation_rules: list[_Rule] = []
    claim_mappings: _Mappings


class _Configuration(_Part):
    api_version: Literal["apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1"]
    kind: Literal["AuthenticationConfiguration"]
    jwt: list[_Jwt] = Field(min_length=1, max_length=_MOST_ISSUERS)


def read_configuration(path: Path, *, allows_http: bool) -> Sequence[Issuer]:
    """The issuers in the file. Raises ConfigurationFault that names the file and each field that is wrong."""
    document, place = _document(path), f"{_SETTING} {path}"
    problems: list[str] = []
    try:
        parts = _Configuration.model_validate(document).jwt
    except ValidationError as error:
        # Without the input: whoever reads the log need not know the whole file.
        problems = [_told(problem) for problem in error.errors(include_input=False, include_url=False)]
    else:
        problems = list(_problems(parts, allows_http=allows_http))
    if problems:
        raise ConfigurationFault("; ".join(f"{place}: {problem}" for problem in problems))
    return [_issuer(part) for part in parts]


def _document(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationFault(f"{_SETTING} {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigurationFault(f"{_SETTING} {path} is not valid YAML") from error


def _told(problem: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    if problem["type"] == "extra_forbidden":
        if str(problem["loc"][-1]) in _EXPRESSIONS:
            return f"{where} is not supported: there are no expressions (CEL) here; map a claim, or require its value"
        return f"{where} is not supported: remove it"
    return f"{where or 'the file'}: {problem['msg']}"


def _problems(parts: Sequence[_Jwt], *, allows_http: bool) -> Iterator[str]:
    seen: set[str] = set()
    for number, part in enumerate(parts):
        place, issuer, mappings = f"jwt[{number}]", part.issuer, part.claim_mappings
        if issuer.url in seen:
            yield f"{place}.issuer.url: {issuer.url} is there twice; put its audiences into one entry"
        seen.add(issuer.url)
        for name, url in (("url", issuer.url), ("discoveryURL", issuer.discovery_url)):
            if url or name == "url":
                yield from (f"{place}.issuer.{name} {each}" for each in url_problems(url, allows_http=allows_http))
        if len(issuer.audiences) > 1 and not issuer.audience_match_policy:
            yield f"{place}.issuer.audienceMatchPolicy must be MatchAny where there are several audiences"
        if not all(issuer.audiences):
            yield f"{place}.issuer.audiences: an audience must not be empty"
        groups = mappings.groups
        if bool(groups.claim) != (groups.prefix is not None):
            yield f"{place}.claimMappings.groups: claim and prefix must be set together; a prefix may be empty"
        for name, prefix in (("username", mappings.username.prefix), ("groups", groups.prefix or "")):
            yield from (f"{place}.claimMappings.{name}.prefix {each}" for each in prefix_problems(prefix))
        claims = [rule.claim for rule in part.claim_validation_rules]
        if len(set(claims)) < len(claims):
            yield f"{place}.claimValidationRules: a claim is there twice"


def _issuer(part: _Jwt) -> Issuer:
    mappings = part.claim_mappings
    return Issuer(
        url=part.issuer.url,
        discovery_url=part.issuer.discovery_url,
        audiences=frozenset(part.issuer.audiences),
        authorities=part.issuer.certificate_authority,
        mappings=ClaimMappings(
            username_claim=mappings.username.claim,
            username_prefix=mappings.username.prefix,
            groups_claim=mappings.groups.claim,
            groups_prefix=mappings.groups.prefix or "",
            uid_claim=mappings.uid.claim,
        ),
        required={rule.claim: rule.required_value for rule in part.claim_validation_rules},
    )
