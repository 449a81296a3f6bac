"""Roles and bindings: Kubernetes' validation, with its field paths and words."""

from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS, AnyObject
from chandlery.model.objects.rbac import RBAC_GROUP, RoleBinding
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission

ADMISSION = ObjectAdmission()
USER = UserInfo(username="ann")
GET = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
SELECTOR = {"matchLabels": {"a": "b"}}


def document(kind: str, /, *, name: str = "one", **body: Any) -> AnyObject:
    namespace = "team" if KINDS[kind].namespaced else None
    sent: AnyObject = KINDS[kind].model.model_validate({"metadata": {"name": name, "namespace": namespace}, **body})
    return ADMISSION.default_on_create(sent, USER)


def binding(made: str = "RoleBinding", /, *, role: str = "ClusterRole/view", **subject: Any) -> AnyObject:
    role_kind, _, name = role.partition("/")
    return document(made, roleRef={"kind": role_kind, "name": name}, subjects=[subject] if subject else None)


def problems(document: AnyObject) -> dict[str, str]:
    return {problem.field: f"{problem.reason}: {problem.message}" for problem in ADMISSION.problems_on_create(document)}


@pytest.mark.parametrize("name", ["reader", "chandlery:admin", "system:aggregate-to-view", "Größe", "a b", "A_b"])
@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_names_are_segments_of_a_path(kind: str, name: str) -> None:
    assert problems(document(kind, name=name)) == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "may not be '.'"),
        ("..", "may not be '..'"),
        ("a/b", "may not contain '/'"),
        ("a%b", "may not contain '%'"),
        ("a\nb", "may contain visible characters and spaces only"),
        ("a\0b", "may contain visible characters and spaces only"),
        ("a" * 254, "must be no more than 253 characters"),
    ],
    ids=lambda each: repr(each)[:12],
)
def test_what_is_no_segment_of_a_path_is_no_name(name: str, said: str) -> None:
    for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        assert said in problems(document(kind, name=name))["metadata.name"]
    assert said in problems(binding(role=f"Role/{name}"))["roleRef.name"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(GET, {}, id="good"),
        pytest.param(
            {**GET, "verbs": []},
            {"rules[0].verbs": "FieldValueRequired: verbs must contain at least one value"},
            id="no verbs",
        ),
        pytest.param(
            {"verbs": ["get"]},
            {
                "rules[0].apiGroups": "FieldValueRequired: resource rules must supply at least one api group",
                "rules[0].resources": "FieldValueRequired: resource rules must supply at least one resource",
            },
            id="nothing to do it with",
        ),
        pytest.param(
            {**GET, "nonResourceURLs": ["/x"]},
            {
                "rules[0].nonResourceURLs": "FieldValueInvalid: rules cannot apply to both regular resources and "
                "non-resource URLs"
            },
            id="both",
        ),
    ],
)
def test_rules_are_checked_one_by_one(rule: dict[str, Any], expected: dict[str, str]) -> None:
    assert problems(document("ClusterRole", rules=[rule])) == expected


def test_paths_are_for_cluster_roles_only() -> None:
    rule = {"verbs": ["get"], "nonResourceURLs": ["/docs"]}
    assert problems(document("ClusterRole", rules=[rule])) == {}
    assert problems(document("Role", rules=[GET, rule])) == {
        "rules[1].nonResourceURLs": "FieldValueInvalid: namespaced rules cannot apply to non-resource URLs"
    }


@pytest.mark.parametrize(
    ("selector", "field"),
    [
        ({"matchLabels": {"a b": "c"}}, "matchLabels"),
        ({"matchLabels": {"a": "c d"}}, "matchLabels[a]"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "matchExpressions[0].values"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "matchExpressions[0].values"),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, "matchExpressions[0].operator"),
        ({"matchExpressions": [{"key": "", "operator": "Exists"}]}, "matchExpressions[0].key"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b c"]}]}, "matchExpressions[0].values[0]"),
    ],
)
def test_selectors_are_checked(selector: dict[str, Any], field: str) -> None:
    role = document("ClusterRole", aggregationRule={"clusterRoleSelectors": [SELECTOR, selector]})
    assert list(problems(role)) == [f"aggregationRule.clusterRoleSelectors[1].{field}"]


def test_a_role_that_gathers_says_from_where() -> None:
    nothing: tuple[dict[str, Any], ...] = ({}, {"clusterRoleSelectors": []})
    for empty in nothing:
        assert problems(document("ClusterRole", aggregationRule=empty)) == {
            "aggregationRule.clusterRoleSelectors": "FieldValueRequired: at least one clusterRoleSelector required if "
            "aggregationRule is non-nil"
        }
    assert problems(document("ClusterRole", aggregationRule={"clusterRoleSelectors": [SELECTOR, {}]})) == {}


def test_empty_lists_are_absent() -> None:
    role = document("Role", rules=[{**GET, "resourceNames": [], "nonResourceURLs": []}])
    assert role.to_wire()["rules"] == [GET]
    assert "subjects" not in document("RoleBinding", subjects=[]).to_wire()
    assert document("ServiceAccount", secrets=[], imagePullSecrets=[]).to_wire().keys() == {
        "apiVersion",
        "kind",
        "metadata",
    }


def test_api_groups_that_everybody_leaves_out_are_filled_in() -> None:
    subjects = [
        {"kind": "User", "name": "ann"},
        {"kind": "Group", "name": "dba", "namespace": ""},
        {"kind": "ServiceAccount", "name": "robot", "apiGroup": ""},
    ]
    made = document("RoleBinding", roleRef={"kind": "Role", "name": "r"}, subjects=subjects)
    assert isinstance(made, RoleBinding)
    assert made.role_ref.api_group == RBAC_GROUP
    assert made.to_wire()["subjects"] == [
        {"kind": "User", "apiGroup": RBAC_GROUP, "name": "ann"},
        {"kind": "Group", "apiGroup": RBAC_GROUP, "name": "dba"},
        {"kind": "ServiceAccount", "name": "robot"},
    ]
    assert problems(made) == {}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(binding(kind="User", name="system:x y"), {}, id="any name of a user"),
        pytest.param(binding(kind="User"), {"subjects[0].name": "FieldValueRequired"}, id="no name"),
        pytest.param(binding(kind="Robot", name="r"), {"subjects[0].kind": "FieldValueNotSupported"}, id="kind"),
        pytest.param(
            binding(kind="User", name="a", apiGroup="x"), {"subjects[0].apiGroup": "FieldValueNotSupported"}, id="group"
        ),
        pytest.param(
            binding(kind="ServiceAccount", name="A b"), {"subjects[0].name": "FieldValueInvalid"}, id="account's name"
        ),
        pytest.param(
            binding(kind="ServiceAccount", name="a", apiGroup=RBAC_GROUP),
            {"subjects[0].apiGroup": "FieldValueNotSupported"},
            id="account's group",
        ),
        pytest.param(
            binding("ClusterRoleBinding", kind="ServiceAccount", name="a"),
            {"subjects[0].namespace": "FieldValueRequired"},
            id="account of no namespace",
        ),
        pytest.param(binding(role="Role/"), {"roleRef.name": "FieldValueRequired"}, id="no role"),
        pytest.param(binding(role="Rule/x"), {"roleRef.kind": "FieldValueNotSupported"}, id="kind of role"),
        pytest.param(
            binding("ClusterRoleBinding", role="Role/x"),
            {"roleRef.kind": "FieldValueNotSupported"},
            id="role of one",
        ),
        pytest.param(
            document("RoleBinding", roleRef={"kind": "Role", "name": "x", "apiGroup": "y"}),
            {"roleRef.apiGroup": "FieldValueNotSupported"},
            id="group of role",
        ),
    ],
)
def test_bindings_are_checked(made: AnyObject, expected: dict[str, str]) -> None:
    assert {field: said.partition(":")[0] for field, said in problems(made).items()} == expected


def test_the_role_of_a_binding_cannot_be_changed() -> None:
    old, new = binding(kind="User", name="ann"), binding(role="ClusterRole/edit", kind="User", name="ann")
    (problem,) = ADMISSION.problems_on_update(old, new)
    assert problem.field == "roleRef"
    assert problem.message.startswith("cannot change roleRef")


def test_what_older_rules_let_in_can_still_be_labelled() -> None:
    bad = document("Role", rules=[{"verbs": []}])
    labelled = bad.model_copy(update={"metadata": bad.metadata.model_copy(update={"labels": {"a": "b"}})})
    assert ADMISSION.problems_on_update(bad, labelled) == ()


def test_what_does_not_fit_is_told_with_what_would() -> None:
    assert problems(binding(kind="Robot", name="r")) == {
        "subjects[0].kind": 'FieldValueNotSupported: "Robot": supported values: "ServiceAccount", "User", "Group"'
    }
