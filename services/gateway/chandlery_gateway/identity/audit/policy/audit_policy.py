"""Which requests are recorded, and how much of each: the rules of a policy, asked once for each request. Pure.

Rule: Kubernetes, `audit.k8s.io/v1` Policy, as kube-apiserver applies it (apiserver, `pkg/audit/policy/checker.go`): the
first rule that matches counts, and what no rule matches is not recorded. The user is the one whose credentials the
request carries, not whom it acts as.

One thing is no matter of policy: who has read a Secret, and who has changed what others may do, is always on record.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.audit.request_attributes import RequestAttributes

RECEIVED: Final = "RequestReceived"
STARTED: Final = "ResponseStarted"
COMPLETE: Final = "ResponseComplete"
PANIC: Final = "Panic"
"""None of ours: what fails is answered, and so complete. Policies may name it."""
STAGES: Final = (RECEIVED, STARTED, COMPLETE, PANIC)

_ANONYMOUS: Final = UserInfo(username="system:anonymous", groups=("system:unauthenticated",))
_READING: Final = frozenset({"get", "list", "watch"})
_RBAC: Final = "rbac.authorization.k8s.io"


class Level(IntEnum):
    """How much of a request is recorded. Answers never are: they may hold credentials."""

    NONE = 0
    METADATA = 1
    REQUEST = 2

    @property
    def word(self) -> str:
        """As policies and events say it."""
        return self.name.capitalize()


@dataclass(frozen=True, kw_only=True)
class GroupResources:
    """Resources of one API group."""

    group: str = ""
    resources: tuple[str, ...] = ()
    """`pods`, `pods/status`, `pods/*`, `*/status`, `*`; all if empty."""
    resource_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How requests of one sort are recorded. What is left empty matches all of them."""

    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()
    omit_stages: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AuditPolicy:
    """Rules, the first of which counts that matches."""

    rules: tuple[Rule, ...] = ()
    omit_stages: frozenset[str] = frozenset()

    def recording(self, user: UserInfo | None, asked: RequestAttributes) -> "Recording":
        """How a request of this user is recorded; None is somebody nobody knows."""
        rule = next((rule for rule in self.rules if _matches(rule, user or _ANONYMOUS, asked)), None)
        recording = _NOTHING if rule is None else Recording(rule.level, self.omit_stages | rule.omit_stages)
        if not is_always_recorded(asked):
            return recording
        return Recording(max(recording.level, Level.METADATA), (recording.omits | self.omit_stages) & {RECEIVED})


@dataclass(frozen=True, slots=True)
class Recording:
    """How one request is recorded."""

    level: Level
    omits: frozenset[str] = frozenset()
    """The stages that are not."""


_NOTHING: Final = Recording(Level.NONE)


def is_always_recorded(asked: RequestAttributes) -> bool:
    """Whether somebody reads or writes a Secret, or changes what others may do."""
    if asked.resource == "secrets" and not asked.group:
        return True
    if asked.verb in _READING:
        return False
    is_token = asked.resource == "serviceaccounts" and asked.subresource == "token"
    return asked.group == _RBAC or is_token


def _matches(rule: Rule, user: UserInfo, asked: RequestAttributes) -> bool:
    if rule.users and user.username not in rule.users:
        return False
    if rule.user_groups and not set(rule.user_groups).intersection(user.groups or ()):
        return False
    if rule.verbs and asked.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return bool(asked.resource) and _matches_resource(rule, asked)
    if rule.non_resource_urls:
        return not asked.resource and any(_is_path(asked.path, spec) for spec in rule.non_resource_urls)
    return True


def _matches_resource(rule: Rule, asked: RequestAttributes) -> bool:
    if rule.namespaces and asked.namespace not in rule.namespaces:
        return False
    return not rule.resources or any(_is_of(asked, each) for each in rule.resources)


def _is_of(asked: RequestAttributes, wanted: GroupResources) -> bool:
    if wanted.group != asked.group:
        return False
    if not wanted.resources:
        return True
    if wanted.resource_names and asked.name not in wanted.resource_names:
        return False
    whole = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    known = {whole, "*", f"{asked.resource}/*"}
    if asked.subresource:
        known.add(f"*/{asked.subresource}")
    return not known.isdisjoint(wanted.resources)


def _is_path(path: str, spec: str) -> bool:
    if spec in ("*", path):
        return True
    return spec.endswith("*") and path.startswith(spec.rstrip("*"))


DEFAULT_POLICY: Final = AuditPolicy(
    omit_stages=frozenset({RECEIVED}),
    rules=(
        Rule(
            level=Level.NONE,
            verbs=("get", "head"),
            non_resource_urls=(
                "/",
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/openapi/*",
                "/version",
                "/version/",
                "/docs*",
                "/livez*",
                "/readyz*",
                "/healthz*",
                "/metrics",
                "/favicon.ico",
            ),
        ),
        Rule(level=Level.METADATA),
    ),
)
"""All that is done with objects, by whomever: who, what, when, whether they might, and what came of it."""
