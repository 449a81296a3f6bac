"""What a platform proves its identity with to a service broker, read from Secrets each time it is used."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chandlery.model.faults import Forbidden
from chandlery.model.objects.brokers import AnyBroker, OAuth2Parameters, auth_secrets
from chandlery.model.objects.core import Secret
from chandlery.model.objects.reasons import BrokerReason
from chandlery.osb.client_credentials import ClientCertificate, OAuth2Client
from chandlery.osb.endpoint import Authorization, BasicAuth, BearerAuth
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import secret_key

KEYS_OF: Final[Mapping[str, Sequence[str]]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("clientID", "clientSecret"),
    "client_certificate": ("tls.crt", "tls.key"),
}
"""What each method of `authInfo` needs of its Secret."""


@dataclass(frozen=True)
class Credentials:
    """At most one way to authenticate each request, and beside it a certificate for the connection."""

    authorization: Authorization | None = field(default=None, repr=False)
    certificate: ClientCertificate | None = field(default=None, repr=False)


async def find_credentials(platform: PlatformView, broker: AnyBroker) -> Credentials | Unresolved:
    """All that the broker's `authInfo` names, or why it cannot be had."""
    authorization, certificate = None, None
    for method, (namespace, name) in auth_secrets(broker):
        values = await _values(platform, namespace, name, wanted=KEYS_OF[method])
        if isinstance(values, Unresolved):
            return values
        if method == "client_certificate":
            certificate = ClientCertificate(*values)
        elif authorization is None:
            authorization = _authorization(broker, method, [value.decode(errors="replace") for value in values])
    return Credentials(authorization, certificate)


def secret_values(secret: Secret) -> Mapping[str, bytes]:
    """The decoded values of a Secret; what is no base64 is left out."""
    values = {}
    for key, encoded in (secret.data or {}).items():
        try:
            values[key] = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
    return values


def _authorization(broker: AnyBroker, method: str, texts: Sequence[str]) -> Authorization:
    if method == "basic":
        return BasicAuth(*texts)
    if method == "bearer":
        return BearerAuth(*texts)
    oauth2: OAuth2Parameters | None = broker.spec.auth_info.oauth2 if broker.spec.auth_info else None
    parameters = oauth2 or OAuth2Parameters()
    # Surrounding white space goes: Secrets often end in a newline.
    client_id, client_secret = (text.strip() for text in texts)
    return OAuth2Client(
        token_url=parameters.token_url,
        client_id=client_id,
        client_secret=client_secret,
        scopes=parameters.scopes or (),
        audience=parameters.audience,
        in_body=parameters.client_authentication == "Post",
        ca_bundle=parameters.ca_bundle,
    )


async def _values(
    platform: PlatformView, namespace: str, name: str, *, wanted: Sequence[str]
) -> Sequence[bytes] | Unresolved:
    try:
        secret = await platform.read_secret(namespace, name)
    except Forbidden as fault:
        return _unusable(namespace, name, f"cannot be read: {fault.message}")
    if secret is None:
        return _unusable(namespace, name, "does not exist")
    if secret.sealed is not None:
        return _unusable(namespace, name, "cannot be decrypted; delete it and create it again")
    values = secret_values(secret)
    missing = [key for key in wanted if key not in values]
    if missing:
        return _unusable(namespace, name, f"has no key {' and no key '.join(missing)}")
    return [values[key] for key in wanted]


def _unusable(namespace: str, name: str, why: str) -> Unresolved:
    return Unresolved(
        BrokerReason.ERROR_GETTING_AUTH_CREDENTIALS,
        f'Error getting broker auth credentials: the Secret "{namespace}/{name}" {why}',
        secret_key(namespace, name),
    )
