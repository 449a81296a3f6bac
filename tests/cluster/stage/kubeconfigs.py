"""Kubeconfigs as people have them: the authority and certificates as files, or a token."""

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.stage.cluster_certificates import replace_file
from tests.support.client_authority import Shown


def write_kubeconfig(
    path: Path,
    address: str,
    *,
    authority: Path,
    shown: Shown | None = None,
    token: str = "",
    token_file: Path | None = None,
    namespace: str = "default",
) -> Path:
    """Write it, and answer its path; who it is for shows a certificate, a token, or a token out of a file."""
    user: dict[str, Any] = {}
    if shown:
        user |= {"client-certificate": str(shown.certificate), "client-key": str(shown.key)}
    if token:
        user["token"] = token
    if token_file:
        user["tokenFile"] = str(token_file)
    name = path.stem
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "real", "cluster": {"server": address, "certificate-authority": str(authority)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": "real", "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    replace_file(path, yaml.safe_dump(document))
    return path
