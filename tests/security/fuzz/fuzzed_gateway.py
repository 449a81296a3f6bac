"""The gateway that is fuzzed: everything on that costs something, users with different rights, objects to be found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from tests.integration.gateway.api_client import Api, Document
from tests.integration.gateway.api_client import namespace as namespace_object
from tests.integration.gateway.conftest import TOKEN
from tests.integration.gateway.seeds import catalog_seeds

USERS: Final[Mapping[str, str]] = {
    "admin": TOKEN,
    "ann, who edits": "token-of-ann-the-developer",
    "vic, who views": "token-of-vic-the-visitor",
    "bea, the broker admin": "token-of-bea-of-the-brokers",
    "nobody": "token-of-somebody-without-rights",
}
"""Whom requests are sent as -> their token."""
_FILE: Final = (
    'token-of-ann-the-developer,ann,uid-of-ann,"developers"\n'
    "token-of-vic-the-visitor,vic,uid-of-vic\n"
    "token-of-bea-of-the-brokers,bea,uid-of-bea\n"
    "token-of-somebody-without-rights,nemo,uid-of-nemo\n"
)
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


def fuzz_settings(url: str, folder: Path, *, administrator: str) -> Settings:
    """With audit, sealing and all users."""
    users = folder / "users.csv"
    users.write_text(_FILE)
    given: dict[str, Any] = {
        "database_url": url,
        "amqp_url": "memory:",
        # Names that are made up lead nowhere, and asking for them takes as long as the machine likes.
        "broker_lookup_seconds": 0.0,
        "encryption_keys": new_key("fuzz"),
        "token": administrator,
        "token_file": users,
        "port": 0,
        "log_level": "error",
        "audit_table": True,
        "audit_log": str(folder / "audit.jsonl"),
        "seal_specs": True,
    }
    return Settings(**given)


async def plant_seeds(api: Api) -> None:
    """An object of each kind that a request may be led to, and what the users may do."""
    for path, seed in (
        ("/api/v1/namespaces", namespace_object("team")),
        *catalog_seeds(),
        ("/api/v1/namespaces/team/serviceaccounts", {"metadata": {"name": "seed"}}),
        (f"{_RBAC}/namespaces/team/roles", {"metadata": {"name": "seed"}, "rules": []}),
        (f"{_RBAC}/clusterroles", {"metadata": {"name": "seed"}, "rules": []}),
        (f"{_RBAC}/namespaces/team/rolebindings", _bound("seed", "edit", "ann", "RoleBinding")),
        (f"{_RBAC}/namespaces/team/rolebindings", _bound("viewers", "view", "vic", "RoleBinding")),
        (f"{_RBAC}/clusterrolebindings", _bound("seed", "chandlery:broker-admin", "bea", "ClusterRoleBinding")),
    ):
        await api.made(path, seed)


def _bound(name: str, role: str, user: str, kind: str) -> Document:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
