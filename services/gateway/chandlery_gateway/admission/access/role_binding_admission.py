"""Rules for RoleBinding, ClusterRoleBinding and ServiceAccount: Kubernetes' `pkg/apis/rbac` (defaults, validation).

Whether somebody may give the role to others is not decided here but asked (`role_grants`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.core import ServiceAccount
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.rbac import RBAC_GROUP, AnyBinding, RoleBinding, Subject
from chandlery.model.text.names import path_segment_problem, subdomain_problem
from chandlery_gateway.admission.access.granted_rights import Grant, GrantedRole, hands_out_nothing_new
from chandlery_gateway.admission.field_checks import LONGEST_ECHO, invalid, key_problems, required
from chandlery_gateway.admission.kind_rules import KindRules, NewId

SERVICE_ACCOUNT: Final = "ServiceAccount"
_KINDS_OF_SUBJECTS: Final = (SERVICE_ACCOUNT, "User", "Group")
_KINDS_OF_ROLES: Final = ("Role", "ClusterRole")


class RoleBindingRules(KindRules[Any]):
    """The rules of bindings of both kinds."""

    def name_problem(self, name: str) -> str | None:
        return path_segment_problem(name)

    def default_new(self, document: AnyBinding, user: UserInfo, *, new_id: NewId) -> AnyBinding:
        return _with_groups(document)

    def default_changed(self, old: AnyBinding, new: AnyBinding, *, user: UserInfo) -> AnyBinding:
        return _with_groups(new)

    def new_problems(self, document: AnyBinding) -> Iterable[FieldProblem]:
        yield from _role_problems(document)
        for position, subject in enumerate(document.subjects or ()):
            field = f"subjects[{position}]"
            yield from _subject_problems(field, subject, is_namespaced=isinstance(document, RoleBinding))

    def grant(self, document: AnyBinding) -> Grant | None:
        return GrantedRole(document.role_ref)

    def changed_grant(self, old: AnyBinding, new: AnyBinding) -> Grant | None:
        return None if hands_out_nothing_new(old, new) else GrantedRole(new.role_ref)

    def changed_problems(self, old: AnyBinding, new: AnyBinding) -> Iterable[FieldProblem]:
        if old.role_ref != new.role_ref:
            yield invalid("roleRef", "cannot change roleRef; delete the binding and create it again")
        if (old.role_ref, old.subjects) != (new.role_ref, new.subjects):
            yield from self.new_problems(new)


class ServiceAccountRules(KindRules[ServiceAccount]):
    """The rules of service accounts: those that hold for all objects, and lists that are absent if empty."""

    def default_new(self, document: ServiceAccount, user: UserInfo, *, new_id: NewId) -> ServiceAccount:
        return _without_empty_lists(document)

    def default_changed(self, old: ServiceAccount, new: ServiceAccount, *, user: UserInfo) -> ServiceAccount:
        return _without_empty_lists(new)


def _with_groups(binding: AnyBinding) -> AnyBinding:
    """With the API groups that everybody leaves out, and those absent that say nothing."""
    subjects = tuple(map(_with_group, binding.subjects or ())) or None
    role = binding.role_ref
    if not role.api_group:
        role = role.model_copy(update={"api_group": RBAC_GROUP})
    if subjects == binding.subjects and role == binding.role_ref:
        return binding
    return binding.model_copy(update={"subjects": subjects, "role_ref": role})


def _with_group(subject: Subject) -> Subject:
    group = subject.api_group or (RBAC_GROUP if subject.kind in ("User", "Group") else None)
    return subject.model_copy(update={"api_group": group, "namespace": subject.namespace or None})


def _without_empty_lists(account: ServiceAccount) -> ServiceAccount:
    empty = {field: None for field in ("secrets", "image_pull_secrets") if getattr(account, field) == ()}
    return account.model_copy(update=empty) if empty else account


def _role_problems(binding: AnyBinding) -> Iterator[FieldProblem]:
    role = binding.role_ref
    kinds = _KINDS_OF_ROLES if isinstance(binding, RoleBinding) else _KINDS_OF_ROLES[1:]
    yield from _choice_problems("roleRef.apiGroup", role.api_group, (RBAC_GROUP,))
    yield from _choice_problems("roleRef.kind", role.kind, kinds)
    if not role.name:
        yield required("roleRef.name", "give the name of a role")
    elif problem := path_segment_problem(role.name):
        yield invalid("roleRef.name", problem, given=role.name)


def _subject_problems(field: str, subject: Subject, *, is_namespaced: bool) -> Iterator[FieldProblem]:
    if not subject.name:
        yield required(f"{field}.name", "give the name of a user, a group or a service account")
    yield from key_problems(f"{field}.namespace", subject.namespace)
    yield from _choice_problems(f"{field}.kind", subject.kind, _KINDS_OF_SUBJECTS)
    if subject.kind == SERVICE_ACCOUNT:
        problem = subdomain_problem(subject.name) if subject.name else None
        if problem:
            yield invalid(f"{field}.name", problem, given=subject.name)
        if subject.api_group:
            yield from _choice_problems(f"{field}.apiGroup", subject.api_group, ("",))
        if not is_namespaced and not subject.namespace:
            yield required(f"{field}.namespace", "give the namespace of the service account")
    elif subject.kind in _KINDS_OF_SUBJECTS:
        yield from _choice_problems(f"{field}.apiGroup", subject.api_group or "", (RBAC_GROUP,))


def _choice_problems(field: str, given: str, choices: tuple[str, ...]) -> Iterator[FieldProblem]:
    if given in choices:
        return
    supported = ", ".join(f'"{choice}"' for choice in choices)
    message = f'"{given[:LONGEST_ECHO]}": supported values: {supported}'
    yield FieldProblem(field, "FieldValueNotSupported", message)
