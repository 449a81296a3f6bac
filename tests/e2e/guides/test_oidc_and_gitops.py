"""Guides to identity providers and to GitOps: each command is typed, with a provider and a service broker that run."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.guides.typed_page import Shell, lines_of
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import kubectl_path
from tests.e2e.stacks.manifests import cluster_broker
from tests.e2e.stacks.programs import REPOSITORY
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.oidc_issuer import LocalIssuer, local_issuer


@pytest.fixture(scope="module")
def issuer(folder: Path) -> Iterator[LocalIssuer]:
    with local_issuer(folder) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def stack(issuer: LocalIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """`chandlery up` with the settings of the page, but for the provider's address and authority."""
    page = (REPOSITORY / "docs" / "oidc.md").read_text()
    settings = dict(re.findall(r"^(CHANDLERY_OIDC_\w+)=(\S+)", page, re.MULTILINE))
    own = {"CHANDLERY_OIDC_ISSUER_URL": issuer.url, "CHANDLERY_OIDC_CA_FILE": str(issuer.ca_file)}
    assert own.keys() < settings.keys()
    stack = EmbeddedStack(tmp_path_factory.mktemp("up"), environment=settings | own)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def test_user_of_a_provider_may_do_what_the_page_says(
    stack: EmbeddedStack, issuer: LocalIssuer, tmp_path: Path
) -> None:
    token = issuer.token(by="rsa", email="ann@example.com", email_verified=True, groups=["team-a"])
    shell = Shell(tmp_path, kubectl_path("any"), KUBECONFIG=str(_without_login(stack, tmp_path)), ANN=token)
    lines = lines_of("oidc.md", "The first request")
    assert len(lines) == 6
    admin = Shell(tmp_path / "admin", kubectl_path("any"), KUBECONFIG=str(stack.kubeconfig))
    for line in lines:
        (shell if "$ANN" in line.command else admin).type(line)


def _without_login(stack: EmbeddedStack, folder: Path) -> Path:
    """Ann's kubeconfig: the same server, and nobody's login."""
    (folder / "admin").mkdir()
    config: dict[str, Any] = yaml.safe_load(stack.kubeconfig.read_text())
    config["users"] = [{"name": each["name"], "user": {}} for each in config["users"]]
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def test_manifests_of_a_repository_are_kept_true_as_the_page_says(stack: EmbeddedStack, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples" / "gitops", tmp_path / "examples" / "gitops")
    with DemoBroker(tmp_path) as broker:
        stack.kubectl().apply(cluster_broker("demo-broker", broker.url))
        stack.kubectl().ok("wait", "--for=condition=Ready", "clusterservicebroker/demo-broker", "--timeout=30s")
        shell = Shell(tmp_path, kubectl_path("any"), KUBECONFIG=str(stack.kubeconfig))
        shell.type(*lines_of("gitops.md", "What to put into the repository"))
        shell.type(*lines_of("gitops.md", "Argo CD"))
        assert [status for method, _, status in broker.requests() if method in ("PUT", "DELETE")] == [
            201,
            201,
            200,
            200,
        ]
