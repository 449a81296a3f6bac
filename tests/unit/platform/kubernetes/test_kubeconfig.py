"""The way to a cluster: a kubeconfig, a pod, a plugin; and what is refused."""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.platform.kubernetes.access.cluster_access import in_cluster
from chandlery.platform.kubernetes.access.cluster_identity import FRESH_SECONDS, Content
from chandlery.platform.kubernetes.access.exec_plugin import ExecPlugin, PluginIdentity
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig

SERVER = "https://cluster.example:6443"


def written(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "port"}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "sesame"} if user is None else user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_current_context_says_where_and_who(tmp_path: Path) -> None:
    access = read_kubeconfig(written(tmp_path, cluster={"tls-server-name": "kubernetes"}))
    assert (access.server, access.namespace, access.server_name) == (SERVER, "port", "kubernetes")
    introduction = await access.introduction()
    assert introduction.authorization == "Bearer sesame"
    assert introduction.tls is not None
    assert "sesame" not in repr(access) + repr(introduction)


async def test_token_file_counts_before_a_token_and_is_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("of the file\n")
    access = read_kubeconfig(written(tmp_path, user={"token": "inline", "tokenFile": "there"}))
    assert (await access.introduction()).authorization == "Bearer of the file"


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify"),
        ({"proxy-url": "http://proxy"}, None, "proxy-url"),
        ({"server": "http://elsewhere"}, None, "no TLS"),
        ({"server": "elsewhere"}, None, "no https URL"),
        ({"certificate-authority": "gone.crt"}, None, "does not exist"),
        ({"certificate-authority-data": "%"}, None, "not base64"),
        ({}, {"auth-provider": {"name": "gcp"}}, "use exec"),
        ({}, {"username": "ann", "password": "p"}, "use a token"),
        ({}, {"as": "root"}, "impersonation"),
        ({}, {"client-certificate-data": "YQ=="}, "both are needed"),
        ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}}, "update the plugin"),
        ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, "without a command"),
    ],
)
def test_what_is_unsafe_or_unusable_is_refused_by_name(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any] | None, words: str
) -> None:
    path = written(tmp_path, cluster=cluster, user=user)
    with pytest.raises(ConfigurationFault, match=words) as fault:
        read_kubeconfig(path)
    assert str(path) in fault.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "no YAML"), ("[]", "no kubeconfig"), ("{}", "use-context"), ("current-context: x", 'no context "x"')],
)
def test_broken_kubeconfig_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigurationFault, match=words):
        read_kubeconfig(path)


def test_missing_kubeconfig_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="cannot be read"):
        read_kubeconfig(tmp_path / "none")


async def test_authority_that_is_no_pem_is_told(tmp_path: Path) -> None:
    data = base64.b64encode(b"nonsense").decode()
    access = read_kubeconfig(written(tmp_path, cluster={"certificate-authority-data": data}))
    with pytest.raises(Refused, match="PEM"):
        await access.introduction()


async def test_pod_has_a_service_account(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    (tmp_path / "token").write_text("sesame")
    (tmp_path / "namespace").write_text("port\n")
    (tmp_path / "ca.crt").write_text("no certificate")
    access = in_cluster(environment, folder=tmp_path)
    assert (access.server, access.namespace) == ("https://[fd00::1]:443", "port")
    with pytest.raises(Refused, match="PEM"):
        await access.introduction()


def test_process_outside_of_a_pod_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="CHANDLERY_KUBECONFIG="):
        in_cluster({}, folder=tmp_path)
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ConfigurationFault, match="there is no"):
        in_cluster(environment, folder=tmp_path)


async def test_file_is_read_again_after_a_while_and_kept_while_it_is_away(tmp_path: Path) -> None:
    now, file = [0.0], tmp_path / "token"
    file.write_text("one")
    content = Content(path=file, clock=lambda: now[0])
    assert await content.look() == b"one"
    file.write_text("two")
    assert await content.look() == b"one"
    now[0] = FRESH_SECONDS
    assert await content.look() == b"two"
    file.unlink()
    now[0] = 2 * FRESH_SECONDS
    assert await content.look() == b"two"
    with pytest.raises(Unavailable, match="cannot be read"):
        await Content(path=file).look()


def plugin(folder: Path, body: str, *, clock: Callable[[], float] = lambda: 1_000.0, **parts: Any) -> PluginIdentity:
    """A program in Python; it notes each call in a file beside it."""
    script = folder / "plugin.py"
    script.write_text(f"import json, os\nopen({str(folder / 'calls')!r}, 'a').write('x')\n{body}")
    told = ExecPlugin(command=sys.executable, arguments=["-I", str(script)], **parts)
    return PluginIdentity(told, clock=clock)


def credential(**status: str) -> str:
    document = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(json.dumps(document))})"


async def test_plugin_is_asked_once_until_its_credential_expires(tmp_path: Path) -> None:
    now = [1_000.0]
    body = credential(token="sesame", expirationTimestamp="2030-01-01T00:00:00Z")
    lasting = plugin(tmp_path, body, clock=lambda: now[0])
    assert (await lasting.identity()).token == (await lasting.identity()).token == "sesame"
    assert (tmp_path / "calls").read_text() == "x"
    now[0] += 60
    for _ in range(3):
        # So many calls were under way when it was refused.
        assert lasting.refused()
        await lasting.identity()
    assert (tmp_path / "calls").read_text() == "xx"
    expired = plugin(tmp_path, credential(token="sesame", expirationTimestamp="1970-01-01T00:00:00Z"))
    await expired.identity()
    await expired.identity()
    assert (tmp_path / "calls").read_text() == "xxxx"


async def test_plugin_is_told_of_the_cluster_if_it_wants(tmp_path: Path) -> None:
    body = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = info['spec']['cluster']['server'] + os.environ['EXTRA']\n"
        "print(json.dumps({'apiVersion': info['apiVersion'], 'status': {'token': token}}))"
    )
    asked = plugin(tmp_path, body, cluster={"server": SERVER}, environment={"EXTRA": "!"})
    assert (await asked.identity()).token == f"{SERVER}!"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('nonsense hunter2')", "no JSON"),
        ("print('{}')", "no ExecCredential"),
        (credential(), "neither a token"),
        (credential(token="hunter2", expirationTimestamp="soon"), "no time"),
        ("print(json.dumps({'apiVersion': 'other', 'status': {'token': 'hunter2'}}))", "apiVersion"),
        ("import time\ntime.sleep(60)", "not ended within"),
    ],
)
async def test_plugin_that_fails_is_told_without_what_it_says(tmp_path: Path, body: str, words: str) -> None:
    failing = plugin(tmp_path, body, timeout_seconds=5.0 if "sleep" not in body else 0.2)
    with pytest.raises(Refused, match=words) as fault:
        await failing.identity()
    assert "hunter2" not in fault.value.message


async def test_plugin_that_is_missing_is_told_with_its_hint(tmp_path: Path) -> None:
    missing = PluginIdentity(ExecPlugin(command=str(tmp_path / "none"), install_hint="Install it."))
    with pytest.raises(Refused, match=r"cannot be run.*Install it"):
        await missing.identity()
