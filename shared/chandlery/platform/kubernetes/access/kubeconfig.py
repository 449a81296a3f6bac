"""Reads the way to a cluster from a kubeconfig: what kubectl reads there too, as far as a service may use it.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
What would have us talk to whoever answers, or act as somebody else, is refused by name rather than ignored.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.platform.kubernetes.access.cluster_access import ClusterAccess
from chandlery.platform.kubernetes.access.cluster_identity import Content, IdentitySource, KnownIdentity
from chandlery.platform.kubernetes.access.exec_plugin import VERSIONS, ExecPlugin, PluginIdentity

_LARGEST_BYTES: Final = 1 << 20
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_UNUSABLE_USERS: Final[Mapping[str, str]] = {
    "auth-provider": "auth-provider, which Kubernetes has given up: use exec, with the plugin of your provider",
    "username": "a username with a password, which kube-apiserver has given up: use a token or a client certificate",
    "as": "as (impersonation): use the credentials of the user that is meant",
    "as-uid": "as-uid (impersonation): use the credentials of the user that is meant",
    "as-groups": "as-groups (impersonation): use the credentials of the user that is meant",
}


class _Kubeconfig:
    """One file; whatever is wrong with it is told with its path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def access(self, context_name: str | None) -> ClusterAccess:
        document = self._document()
        name = context_name or document.get("current-context")
        if not name:
            raise self._wrong("has no current-context; set it: kubectl config use-context NAME")
        context = self._named(document, "contexts", str(name), "context")
        cluster_name = str(context.get("cluster", ""))
        cluster = self._named(document, "clusters", cluster_name, "cluster")
        user = self._named(document, "users", str(context["user"]), "user") if context.get("user") else {}
        identity = self._identity(user, cluster)
        return ClusterAccess(
            self._server(cluster, cluster_name, has_user=bool(user)),
            namespace=str(context.get("namespace") or "default"),
            identity=identity,
            authorities=self._content(cluster, "certificate-authority"),
            server_name=str(cluster["tls-server-name"]) if cluster.get("tls-server-name") else None,
        )

    def _document(self) -> dict[str, Any]:
        try:
            with self._path.open("rb") as file:
                document = yaml.safe_load(file.read(_LARGEST_BYTES))
        except OSError as error:
            raise self._wrong(f"cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, ValueError, RecursionError):
            # Not chained: the error shows the line, which may hold a token.
            raise self._wrong("is no YAML") from None
        if not isinstance(document, dict):
            raise self._wrong("is no kubeconfig")
        return document

    def _named(self, document: dict[str, Any], part: str, name: str, key: str) -> dict[str, Any]:
        entries = document.get(part)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(key), dict):
                found: dict[str, Any] = entry[key]
                return found
        raise self._wrong(f'has no {key} "{name}"')

    def _server(self, cluster: Mapping[str, Any], name: str, *, has_user: bool) -> str:
        server = str(cluster.get("server") or "")
        url = urlsplit(server)
        if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
            raise self._wrong(f'says no https URL as server of the cluster "{name}"')
        if url.scheme == "http" and has_user and url.hostname not in _LOOPBACK:
            raise self._wrong(f'has credentials for the cluster "{name}", whose server has no TLS: they are not sent')
        if cluster.get("insecure-skip-tls-verify"):
            raise self._wrong(
                f'wants no proof of who answers for the cluster "{name}" (insecure-skip-tls-verify): credentials go '
                "there. Give its certificate-authority instead"
            )
        if cluster.get("proxy-url"):
            raise self._wrong(f'reaches the cluster "{name}" by a proxy-url, which is not supported')
        return server

    def _identity(self, user: Mapping[str, Any], cluster: Mapping[str, Any]) -> IdentitySource:
        for field, remedy in _UNUSABLE_USERS.items():
            if user.get(field):
                raise self._wrong(f"uses {remedy}")
        if isinstance(user.get("exec"), dict):
            return PluginIdentity(self._plugin(user["exec"], cluster))
        certificate, key = self._content(user, "client-certificate"), self._content(user, "client-key")
        if (certificate is None) != (key is None):
            raise self._wrong("has only one of client-certificate and client-key; both are needed")
        token = Content(str(user["token"]).encode()) if user.get("token") else None
        if user.get("tokenFile"):
            # Of the two the file counts, as for kubectl.
            token = Content(path=self._beside(str(user["tokenFile"])))
        return KnownIdentity(token=token, certificate=certificate, key=key)

    def _plugin(self, told: Mapping[str, Any], cluster: Mapping[str, Any]) -> ExecPlugin:
        version, command = str(told.get("apiVersion", "")), str(told.get("command") or "")
        if version not in VERSIONS:
            raise self._wrong(f"has an exec of another apiVersion than {' and '.join(VERSIONS)}; update the plugin")
        if not command:
            raise self._wrong("has an exec without a command")
        if told.get("interactiveMode") == "Always":
            raise self._wrong(f"has the plugin {command} that wants to talk to somebody (interactiveMode: Always)")
        pairs = [each for each in told.get("env") or () if isinstance(each, dict) and "name" in each]
        return ExecPlugin(
            command=str(self._beside(command)) if "/" in command else command,
            arguments=[str(each) for each in told.get("args") or ()],
            environment={str(each["name"]): str(each.get("value", "")) for each in pairs},
            api_version=version,
            cluster=_told_cluster(cluster) if told.get("provideClusterInfo") else None,
            install_hint=str(told.get("installHint") or "").strip(),
        )

    def _content(self, told: Mapping[str, Any], field: str) -> Content | None:
        data, path = told.get(f"{field}-data"), told.get(field)
        if data:
            try:
                return Content(base64.b64decode("".join(str(data).split()), validate=True))
            except (binascii.Error, ValueError):
                raise self._wrong(f"has a {field}-data that is not base64") from None
        if not path:
            return None
        file = self._beside(str(path))
        if not file.is_file():
            raise self._wrong(f"names {file} as {field}, which does not exist")
        return Content(path=file)

    def _beside(self, path: str) -> Path:
        # As for kubectl: relative to the file that says so.
        return self._path.parent / path

    def _wrong(self, why: str) -> ConfigurationFault:
        return ConfigurationFault(f"CHANDLERY_KUBECONFIG: {self._path} {why}")


def read_kubeconfig(path: Path, *, context: str | None = None) -> ClusterAccess:
    """The way of the context, or else the current one. Raises ConfigurationFault that says what is wrong."""
    return _Kubeconfig(path).access(context)


def _told_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """What a plugin is told that asks for the cluster, in the form of ExecCredential."""
    told = {"server": cluster.get("server"), "tls-server-name": cluster.get("tls-server-name")}
    told["certificate-authority-data"] = cluster.get("certificate-authority-data")
    for extension in cluster.get("extensions") or ():
        if isinstance(extension, dict) and extension.get("name") == "client.authentication.k8s.io/exec":
            told["config"] = extension.get("extension")
    return {key: value for key, value in told.items() if value is not None}
