"""Who asked for it: the header that tells a service broker which user is behind a request."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import UserInfo

PLATFORM = "kubernetes"
"""Has to equal `context.platform` of the bodies it travels with (OSB v2.17, "Originating Identity")."""


@dataclass(frozen=True, kw_only=True)
class OriginatingIdentity:
    """A Kubernetes user (OSB profile, "Originating Identity Header")."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, user: UserInfo) -> "OriginatingIdentity":
        """The identity of the user that an object's spec names."""
        return cls(username=user.username, uid=user.uid, groups=user.groups or (), extra=user.extra or {})

    @property
    def header(self) -> str:
        """`kubernetes <base64 of a JSON object>`: standard alphabet, padded, one line; empty lists rather than null."""
        document = {
            "username": self.username,
            "uid": self.uid,
            "groups": list(self.groups),
            "extra": {key: list(values) for key, values in self.extra.items()},
        }
        return f"{PLATFORM} {base64.b64encode(write_json(document)).decode('ascii')}"
