"""Values that can not work: the chart says which one and why, before anything is installed, and shows no secret."""

import copy
from collections.abc import Callable
from typing import Any

import helm_python
import pytest

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def put(values: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The values with one of them replaced."""
    changed = copy.deepcopy(values)
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return changed


@pytest.mark.parametrize("path", ["database.url", "amqp.url", "encryption.keys", "auth.tokens"])
@pytest.mark.parametrize("empty", [None, "nothing"], ids=["null", "empty"])
def test_chart_names_what_is_missing(render: Render, required: dict[str, Any], path: str, *, empty: str | None) -> None:
    nothing = {"nothing": "" if path.endswith("url") else []}.get(empty or "")
    with pytest.raises(helm_python.HelmRenderError, match=rf"{path} is missing: .* existingSecret\.name"):
        render(put(required, path, nothing))


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        ("database.url", "sqlite:///hidden-value.db", "database.url has the wrong form"),
        ("database.url", "postgresql://user:hidden-value@ host/db", "database.url has the wrong form"),
        ("amqp.url", "redis://:hidden-value@host", "amqp.url has the wrong form"),
        ("encryption.keys", ["k:aGlkZGVuLXZhbHVl"], r"encryption.keys\[0\] has the wrong form"),
        ("encryption.keys", [f"a:{'A' * 43}=", f"a:{'B' * 43}="], "two keys of the same name"),
        ("auth.tokens", [{"token": "hidden-value", "user": "admin"}], r"auth.tokens\[0\].token has the wrong form"),
        ("auth.tokens", [{"token": 'hidden-value"0123456', "user": "a"}], r"auth.tokens\[0\].token has the wrong form"),
        ("auth.tokens", [{"token": "hidden-value-0123456"}], "missing property 'user'"),
        ("auth.tokens", [{"token": "hidden-value-0123456", "user": "a,b"}], "/auth/tokens/0/user"),
        ("existingSecret.name", "own", "database.url, amqp.url, encryption.keys, auth.tokens must not be set"),
        ("terminationGracePeriodSeconds", 25, "/terminationGracePeriodSeconds"),
        ("replicaCount", 3, "'replicaCount' not allowed"),
        ("gateway.replicas", "three", "/gateway/replicas"),
        ("settings.logLevel", "loud", "/settings/logLevel"),
        ("settings.extra", {"CHANDLERY_TOKEN": "hidden-value"}, "CHANDLERY_TOKEN"),
        ("settings.extra", {"CHANDLERY_LOG_FROMAT": "console"}, "CHANDLERY_LOG_FROMAT"),
        ("podSecurityContext.runAsNonRoot", False, "/podSecurityContext/runAsNonRoot"),
        ("fullnameOverride", "", "set fullnameOverride"),
    ],
)
def test_chart_refuses_what_can_not_work_without_showing_it(
    render: Render, required: dict[str, Any], secret_values: list[str], *, path: str, wrong: object, message: str
) -> None:
    release = "1.demo" if path == "fullnameOverride" else "demo"
    with pytest.raises(helm_python.HelmError, match=message) as caught:
        render(put(required, path, wrong), release=release)
    shown = str(caught.value)
    assert not any(secret in shown for secret in [*secret_values, "hidden-value", "aGlkZGVuLXZhbHVl"])
