"""`kubectl apply --server-side` as people meet it: create, change, conflict, force, removal, diff, and taking over.

The embedded form with both kubectls, the four processes with the one on PATH.
"""

from collections.abc import Iterator
from typing import Any, Final, cast

import pytest

from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice, Printed, manifest
from tests.e2e.stacks.manifests import instance
from tests.e2e.stacks.stacks import Stack
from tests.support.selection import IS_BRIEF

_MORE: Final = {} if IS_BRIEF else {"embedded": ("embedded", "any")}
CASES: Final = {**_MORE, "embedded-1.20": ("embedded", "debian"), "split": ("split", "any")}
ON_SERVER: Final = ("apply", "--server-side", "-f", "-")
APPLIED: Final = "serviceinstance.servicecatalog.k8s.io/db serverside-applied\n"
TYPED_BEFORE: Final = 26
"""From this minor version on, kubectl takes over what it once applied from the client."""


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    form, choice = request.param
    stack: Stack = request.getfixturevalue(form)
    return stack.kubectl(cast("KubectlChoice", choice))


@pytest.fixture(autouse=True)
def nothing_left(kubectl: Kubectl) -> Iterator[None]:
    yield
    kubectl.ok("delete", "serviceinstances,secrets", "--all", "--timeout=30s")


def db(**parameters: Any) -> str:
    return manifest(instance("db", parameters=parameters))


def applied(kubectl: Kubectl, text: str, *words: str) -> Printed:
    return kubectl.run(*ON_SERVER, *words, stdin=text)


def parameters(kubectl: Kubectl) -> Any:
    return kubectl.json("serviceinstance", "db")["spec"].get("parameters")


def managers(kubectl: Kubectl) -> list[tuple[str, str]]:
    words = ("--show-managed-fields",) if kubectl.minor_version > 20 else ()
    listed = kubectl.json("serviceinstance", "db", *words)["metadata"]["managedFields"]
    return [(each["manager"], each["operation"]) for each in listed]


def test_applying_creates_changes_and_takes_away(kubectl: Kubectl) -> None:
    for wanted in ({"size": 1, "color": "red"}, {"size": 1, "color": "red"}, {"size": 2}):
        printed = applied(kubectl, db(**wanted))
        assert (printed.out, printed.code) == (APPLIED, 0), str(printed)
        assert parameters(kubectl) == wanted
    assert managers(kubectl) == [("kubectl", "Apply")]


def test_a_conflict_says_what_to_do_and_force_does_it(kubectl: Kubectl) -> None:
    applied(kubectl, db(size=1))
    refused = applied(kubectl, db(size=2), "--field-manager=ann")
    assert refused.code == 1
    assert 'conflict with "kubectl": .spec.parameters.size' in refused.err
    assert "--force-conflicts" in refused.err

    assert applied(kubectl, db(size=2), "--field-manager=ann", "--force-conflicts").out == APPLIED
    assert parameters(kubectl) == {"size": 2}
    assert applied(kubectl, db(size=2)).out == APPLIED
    assert managers(kubectl) == [("ann", "Apply"), ("kubectl", "Apply")]


def test_a_diff_shows_what_an_apply_would_change(kubectl: Kubectl) -> None:
    applied(kubectl, db(size=1))
    same = kubectl.run("diff", "--server-side", "-f", "-", stdin=db(size=1))
    assert (same.code, same.out) == (0, ""), str(same)
    other = kubectl.run("diff", "--server-side", "-f", "-", stdin=db(size=2))
    changes = [line for line in other.out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert other.code == 1
    wanted = {"-    size: 1", "+    size: 2", "-  generation: 1", "+  generation: 2"}
    # Of older ones the managed fields are part of the picture.
    assert set(changes) == wanted if kubectl.minor_version > 20 else wanted <= set(changes)
    assert parameters(kubectl) == {"size": 1}


def test_what_was_applied_from_the_client_is_taken_over(kubectl: Kubectl) -> None:
    kubectl.apply(instance("db", parameters={"size": 1, "color": "red"}))
    assert applied(kubectl, db(size=2)).out == APPLIED
    if kubectl.minor_version < TYPED_BEFORE:
        assert parameters(kubectl) == {"size": 2, "color": "red"}
        return
    assert parameters(kubectl) == {"size": 2}
    assert ("kubectl-client-side-apply", "Update") not in managers(kubectl)
    assert kubectl.apply(instance("db", parameters={"size": 3})).endswith("configured\n")


def test_every_command_writes_under_its_name(kubectl: Kubectl) -> None:
    kubectl.create(instance("db", parameters={"size": 1}))
    kubectl.ok("label", "serviceinstance", "db", "team=a")
    kubectl.ok("annotate", "serviceinstance", "db", "note=hello")
    kubectl.ok("patch", "serviceinstance", "db", "--type=merge", "-p", '{"spec":{"parameters":{"more":1}}}')
    edited = kubectl.run("edit", "serviceinstance", "db", KUBE_EDITOR="sed -i 's/size: 1/size: 2/'")
    assert edited.code == 0, str(edited)
    assert parameters(kubectl) == {"size": 2, "more": 1}
    written = {name for name, operation in managers(kubectl) if operation == "Update"}
    if kubectl.minor_version > 20:
        assert written == {"kubectl-create", "kubectl-label", "kubectl-annotate", "kubectl-patch", "kubectl-edit"}
    assert "f:size" not in str(applied(kubectl, db(size=2), "--dry-run=server").err)


def test_a_misspelt_field_is_refused_or_told_of(kubectl: Kubectl) -> None:
    wrong = manifest({**instance("db"), "spec": {**instance("db")["spec"], "colour": "red"}})
    if kubectl.minor_version < 27:
        pytest.skip("this kubectl checks fields itself, and not those of a server-side apply")
    strict = applied(kubectl, wrong, "--validate=strict")
    assert (strict.code, 'unknown field "spec.colour"' in strict.err) == (1, True)
    warned = applied(kubectl, wrong, "--validate=warn")
    assert (warned.out, 'Warning: unknown field "spec.colour"' in warned.err) == (APPLIED, True)
