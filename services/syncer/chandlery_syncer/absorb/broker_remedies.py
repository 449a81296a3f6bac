"""Sentences that tell people how to get a service broker out of the state that it is in. Pure.

Every one works with stock kubectl; what the annotations mean is in `chandlery.model.objects.annotations`.
"""

import re
from collections.abc import Sequence
from typing import Final

from chandlery.model.objects.annotations import FORCE_DELETE, RETRY
from chandlery.model.objects.brokers import AnyBroker, auth_secrets
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.kubectl_commands import annotate, create_secret, create_tls_secret, delete_secret, edit_secret
from chandlery_syncer.facts.broker_snapshot import secret_of

_KEYS_OF: Final[dict[str, Sequence[str]]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("clientID", "clientSecret"),
}
_UNAUTHORIZED, _FORBIDDEN, _PRECONDITION_FAILED = 401, 403, 412
_NO_CATALOG = frozenset({404, 405, 410})
_REDIRECTS = range(300, 400)
_UNCHANGED: Final = 304
_NEWEST: Final = "2.17"
_NO_CREDENTIALS: Final = "Put the broker's credentials into a Secret and name it in spec.authInfo"

_BAD_REQUEST: Final = 400
_ABOUT_TLS = re.compile(r"(?i)\bhttps\b|\btls\b|\bssl\b")
"""What servers say to a plain request on their TLS port."""
_NO_BROKER: Final = (
    "Check that spec.url is the address of the broker's API, which answers GET v2/catalog with JSON, and "
    "not the address of a web page or of a proxy with a login page"
)
_TOO_LARGE: Final = (
    "The broker must offer fewer plans or smaller metadata and schemas, or whoever runs the platform "
    "raises CHANDLERY_CATALOG_MEBIBYTES of the syncer. Retries become rarer"
)


def after_failed_fetch(broker: AnyBroker, answer: Answer) -> str:
    """What to look at, given how the broker failed to hand out its catalog; and how to have it tried again now."""
    hint = _hint(broker, answer)
    return f"{hint}. {tries_again(broker)}" if hint else tries_again(broker)


def tries_again(broker: AnyBroker) -> str:
    """The last good catalog stays in use; nothing else has to be done but mend what is wrong."""
    return f"It is retried automatically. To retry now: {_annotate(broker, f'{RETRY}=$(date +%s)')}"


def mend_credentials(broker: AnyBroker, why: str) -> str:
    """For credentials that cannot be read; `why` tells whether their Secret is there, or does not open."""
    meant = ((method, secret) for method, secret in auth_secrets(broker) if f'"{"/".join(secret)}"' in why)
    method, (namespace, name) = next(meant, ("basic", ("NAMESPACE", "NAME")))
    command = edit_secret(namespace, name)
    if "does not exist" in why:
        is_certificate = method == "client_certificate"
        command = (
            create_tls_secret(namespace, name)
            if is_certificate
            else create_secret(namespace, name, *_KEYS_OF.get(method, ()))
        )
    elif "cannot be decrypted" in why:
        command = delete_secret(namespace, name)
    return f"Work resumes automatically when that is corrected: {command}"


def left_alone(broker: AnyBroker, why: str) -> str:
    """For a broker that is not called for a while, because it failed."""
    waits = (
        "Calls to this broker are paused, except for one probe from time to time. They resume when a probe is answered"
    )
    return f"{why.rstrip('. ')}. {waits}. To send a probe now: {_annotate(broker, f'{RETRY}=$(date +%s)')}"


def instance_deletion(names: Sequence[str]) -> str:
    """The command for the first of the instances that hold a deletion up; they are told as `namespace/name`."""
    namespace, _, name = (names[0] if names else "NAMESPACE/NAME").rpartition("/")
    return f"kubectl delete serviceinstance {name}{f' -n {namespace}' if namespace else ''}"


def force_deletion(broker: AnyBroker) -> str:
    """For a deletion that waits for instances."""
    return f"to delete the broker without them: {_annotate(broker, f'{FORCE_DELETE}=true')}"


def after_collision(broker: AnyBroker, other: str, *, is_same: bool) -> str:
    """For ids that another broker of the same scope has; `is_same` when both are registered with the same URL."""
    if is_same:
        return f"Both have the same URL. Delete one of them: {broker.metadata.name} or {other}"
    return (
        "Exclude these from one of the two with spec.catalogRestrictions, make the brokers offer different "
        f"ids, or delete {broker.metadata.name} or {other}"
    )


def _hint(broker: AnyBroker, answer: Answer) -> str | None:
    if answer.is_too_large:
        return _TOO_LARGE
    if answer.verdict in (Verdict.MALFORMED, Verdict.UNEXPECTED):
        return _NO_BROKER
    if answer.verdict in (Verdict.UNREACHABLE, Verdict.TIMED_OUT):
        return _hint_without_answer(broker, answer)
    return _hint_by_status(broker, answer)


def _hint_without_answer(broker: AnyBroker, answer: Answer) -> str | None:
    said = answer.description or ""
    if "spec." in said:
        # It says already what to set.
        return None
    if answer.verdict == Verdict.UNREACHABLE:
        return "Check that the broker is running and that spec.url is its address"
    if "broke before a byte" in said and _is_plain(broker):
        return "Check that the broker is running; if it uses TLS on this port, write https:// in spec.url"
    return "Check that the broker is running; if it needs more time, raise spec.requestTimeout"


def _hint_by_status(broker: AnyBroker, answer: Answer) -> str | None:
    spec, status = broker.spec, answer.status
    if status == _BAD_REQUEST and _is_plain(broker) and _ABOUT_TLS.search(answer.description or ""):
        return "Write https:// in spec.url"
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        secret = secret_of(broker)
        return f'Check the credentials in the Secret "{secret[0]}/{secret[1]}"' if secret else _NO_CREDENTIALS
    if status == _PRECONDITION_FAILED:
        spoken = spec.osb_api_version or _NEWEST
        return (
            f"Version {spoken} of the Open Service Broker API was used. Set spec.osbAPIVersion to one that the "
            "broker supports"
        )
    if status in _NO_CATALOG or (status in _REDIRECTS and status != _UNCHANGED):
        return "Check spec.url: the catalog is expected at v2/catalog below it"
    return None


def _is_plain(broker: AnyBroker) -> bool:
    return broker.spec.url.lower().startswith("http://")


def _annotate(broker: AnyBroker, annotation: str) -> str:
    return annotate(broker.kind.lower(), broker.metadata, annotation)
