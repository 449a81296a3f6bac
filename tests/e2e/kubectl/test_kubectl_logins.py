"""Stock kubectl as users who come in by each way that there is: it is told who they are, and what they may not do."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.client_authority import Authority
from tests.support.oidc_issuer import AUDIENCE, LocalIssuer, local_issuer
from tests.support.waiting import wait_for

_WHOAMI_SINCE: Final = 27
_CREATE_TOKEN_SINCE: Final = 24
_ACCOUNT_TOKEN: Final = "/api/v1/namespaces/default/serviceaccounts/robot/token"
_BARE: Final = ("--kubeconfig", os.devnull)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    with local_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def stack(
    issuer: LocalIssuer, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedStack]:
    """`chandlery up` with an identity provider and an authority of client certificates."""
    folder = tmp_path_factory.mktemp("logins")
    (folder / "clients.crt").write_text(authority.pem)
    environment = {
        "CHANDLERY_CLIENT_CA_FILE": str(folder / "clients.crt"),
        "CHANDLERY_OIDC_ISSUER_URL": issuer.url,
        "CHANDLERY_OIDC_CLIENT_ID": AUDIENCE,
        "CHANDLERY_OIDC_CA_FILE": str(issuer.ca_file),
        "CHANDLERY_OIDC_SIGNING_ALGS": "RS256,ES256",
        "CHANDLERY_OIDC_USERNAME_PREFIX": "corp:",
        "CHANDLERY_OIDC_GROUPS_CLAIM": "groups",
        "CHANDLERY_OIDC_GROUPS_PREFIX": "corp:",
    }
    stack = EmbeddedStack(folder, environment=environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def admin(stack: EmbeddedStack) -> Kubectl:
    return stack.kubectl()


def server(admin: Kubectl, folder: Path) -> Sequence[str]:
    """Flags that name the gateway, and nobody's credentials."""
    [cluster] = json.loads(admin.ok("config", "view", "--raw", "-o", "json"))["clusters"]
    return (*_BARE, "--server", cluster["cluster"]["server"], "--certificate-authority", str(folder / "tls.crt"))


def whoami(kubectl: Kubectl, *flags: str) -> Any:
    """Who one is, as `kubectl auth whoami` tells, or as it asks where it cannot yet."""
    if kubectl.minor_version >= _WHOAMI_SINCE:
        return json.loads(kubectl.ok("auth", "whoami", "-o", "json", *flags))["status"]["userInfo"]
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    told = kubectl.ok("create", "--raw", path, "-f", "-", *flags, stdin=json.dumps(asked))
    return json.loads(told)["status"]["userInfo"]


def create_token(kubectl: Kubectl) -> str:
    """`kubectl create token robot --duration 1h`, or what it sends."""
    if kubectl.minor_version >= _CREATE_TOKEN_SINCE:
        return kubectl.ok("create", "token", "robot", "--duration", "1h").strip()
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    told = kubectl.ok("create", "--raw", _ACCOUNT_TOKEN, "-f", "-", stdin=json.dumps(asked))
    token: str = json.loads(told)["status"]["token"]
    return token


def test_user_of_an_identity_provider_comes_with_a_token(
    admin: Kubectl, issuer: LocalIssuer, stack: EmbeddedStack
) -> None:
    flags = server(admin, stack.data_dir)
    told = whoami(admin, *flags, "--token", issuer.token(sub="ann", groups=["dev", "ops"]))
    assert told["username"] == "corp:ann"
    assert told["groups"] == ["corp:dev", "corp:ops", "system:authenticated"]
    late = issuer.token(sub="ann", exp=1)
    refused = admin.run("get", "--raw", "/api/v1/secrets", *flags, "--token", late)
    assert refused.code == 1
    assert "You must be logged in to the server" in refused.err
    program = stack.programs["up"]
    wait_for(lambda: "requests refused (expired)" in program.log_tail(), what="the reason in the log")
    assert late not in program.log_tail()
    other = issuer.token(by="rsa", sub="ann", groups=["dev"])
    assert admin.run("get", "secrets", *flags, "--token", other).err.startswith("Error from server (Forbidden)")


def test_user_with_a_client_certificate_is_who_it_says(
    admin: Kubectl, authority: Authority, stack: EmbeddedStack, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(stack.kubeconfig.read_text())
    kubectl = Kubectl(admin.binary, kubeconfig, home=tmp_path / "home")
    shown = authority.issue(tmp_path, "carol", "dev")
    files = (f"--client-certificate={shown.certificate}", f"--client-key={shown.key}")
    kubectl.ok("config", "set-credentials", "carol", *files)
    kubectl.ok("config", "set-context", "--current", "--user=carol")
    told = whoami(kubectl)
    assert (told["username"], told["groups"]) == ("carol", ["dev", "system:authenticated"])
    assert kubectl.run("get", "secrets").err.startswith("Error from server (Forbidden)")
    shown = authority.issue(tmp_path, "root", "system:masters")
    files = (f"--client-certificate={shown.certificate}", f"--client-key={shown.key}")
    kubectl.ok("config", "set-credentials", "carol", *files)
    kubectl.ok("get", "secrets", "--all-namespaces")


def test_service_account_has_a_token_until_the_account_goes(admin: Kubectl, stack: EmbeddedStack) -> None:
    admin.ok("create", "serviceaccount", "robot")
    token = create_token(admin)
    flags = (*server(admin, stack.data_dir), "--token", token)
    told = whoami(admin, *flags)
    assert told["username"] == "system:serviceaccount:default:robot"
    assert told["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    admin.ok("create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
    wait_for(
        lambda: admin.run("get", "serviceinstances", "-n", "default", *flags), lambda seen: seen.code == 0, what="view"
    )
    assert admin.run("get", "secrets", "-n", "default", *flags).err.startswith("Error from server (Forbidden)")
    admin.ok("delete", "serviceaccount", "robot")
    gone = wait_for(
        lambda: admin.run("get", "--raw", "/api/v1/secrets", *flags),
        lambda seen: "logged in" in seen.err,
        what="the end of the token",
    )
    assert "You must be logged in to the server" in gone.err
    assert token not in stack.programs["up"].log_tail()
