"""Rules for `authInfo` of brokers: which methods go together, and what each needs. Called by broker_admission."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import (
    AUTH_METHODS,
    AnyBroker,
    AnySecretReference,
    CommonBrokerSpec,
    OAuth2Parameters,
    ObjectReference,
)
from chandlery.model.objects.wire import wire_name
from chandlery.model.text.names import label_problem
from chandlery.reconcile.egress.host_spelling import OddSpelling, host_of
from chandlery_gateway.admission.field_checks import count_problems, forbidden, invalid, name_problems, required
from chandlery_gateway.admission.kind_rules import SecretReference

_MOST_SCOPES: Final = 50
_LONGEST_BUNDLE: Final = 512 << 10
"""That of all authorities that browsers know has 300 KiB as base64."""
_LONGEST_SCOPE: Final = 256
_LONGEST_AUDIENCE: Final = 1024


def auth_references(broker: AnyBroker) -> Iterator[SecretReference]:
    """The Secrets that are sent to the broker or to its token endpoint; one that is not used now counts as well."""
    for field, reference in _secret_refs(broker):
        if reference is not None:
            is_elsewhere = isinstance(reference, ObjectReference)
            namespace = reference.namespace if is_elsewhere else ""  # type: ignore[union-attr]
            yield SecretReference(field, namespace or broker.metadata.namespace or "", reference.name)


def auth_problems(broker: AnyBroker) -> Iterator[FieldProblem]:
    """What is wrong with `authInfo`."""
    auth = broker.spec.auth_info
    if auth is None:
        return
    if all(getattr(auth, method) is None for method in AUTH_METHODS):
        message = "give basic, bearer, oauth2 or clientCertificate with a secretRef, or leave authInfo out"
        yield required("spec.authInfo", message)
    if auth.oauth2 is not None and (auth.basic is not None or auth.bearer is not None):
        yield forbidden("spec.authInfo.oauth2", "may not be combined with basic or bearer; remove one of them")
    for field, reference in _secret_refs(broker):
        yield from _secret_problems(field, reference)
    if auth.oauth2 is not None:
        yield from _oauth2_problems("spec.authInfo.oauth2", auth.oauth2)
    if auth.client_certificate is not None and _is_plain(broker.spec):
        message = "has no effect with an http address, which has no TLS; write https:// in spec.url, or remove it"
        yield invalid("spec.authInfo.clientCertificate", message)


def _secret_refs(broker: AnyBroker) -> Iterator[tuple[str, AnySecretReference | None]]:
    for method in AUTH_METHODS:
        holder = getattr(broker.spec.auth_info, method, None)
        if holder is not None:
            yield f"spec.authInfo.{wire_name(method)}.secretRef", holder.secret_ref


def _secret_problems(field: str, reference: AnySecretReference | None) -> Iterator[FieldProblem]:
    if reference is None:
        yield required(field, "name the Secret that holds the credentials")
        return
    yield from name_problems(f"{field}.name", reference.name, what="the Secret that holds the credentials")
    if not isinstance(reference, ObjectReference):
        return
    if not reference.namespace:
        yield required(f"{field}.namespace", "give the namespace of the Secret")
    elif problem := label_problem(reference.namespace):
        yield invalid(f"{field}.namespace", problem)


def _oauth2_problems(field: str, oauth2: OAuth2Parameters) -> Iterator[FieldProblem]:
    if not oauth2.token_url:
        yield required(f"{field}.tokenURL", "give the token endpoint, such as https://login.example.com/token")
    else:
        yield from _token_url_problems(f"{field}.tokenURL", oauth2.token_url)
    scopes = oauth2.scopes or ()
    yield from count_problems(f"{field}.scopes", len(scopes), most=_MOST_SCOPES)
    for position, scope in enumerate(scopes[:_MOST_SCOPES]):
        # RFC 6749, section 3.3.
        is_token = scope.isascii() and scope.isprintable() and not set(scope) & set(' "\\')
        if not 0 < len(scope) <= _LONGEST_SCOPE or not is_token:
            yield invalid(
                f"{field}.scopes[{position}]", "must be one scope: visible ASCII without space, '\"' and '\\'"
            )
    if oauth2.audience is not None and not 0 < len(oauth2.audience) <= _LONGEST_AUDIENCE:
        yield invalid(f"{field}.audience", f"must have 1 to {_LONGEST_AUDIENCE} characters, or be left out")
    yield from bundle_problems(f"{field}.caBundle", oauth2.ca_bundle)


def bundle_problems(field: str, bundle: str | None) -> Iterator[FieldProblem]:
    """What is no bundle of certificates, or one that would take long to read whenever a connection is made."""
    if not bundle:
        return
    if len(bundle) > _LONGEST_BUNDLE:
        yield FieldProblem(
            field,
            "FieldValueTooLong",
            f"may have at most {_LONGEST_BUNDLE:,} characters; leave out authorities that have not signed the broker's "
            "certificate",
        )
        return
    try:
        b64decode(bundle.encode(), validate=True)
    except ValueError:
        yield invalid(field, "must be base64 of a PEM bundle")


def _token_url_problems(field: str, url: str) -> Iterator[FieldProblem]:
    # Never quoted, in case it has a password.
    try:
        host = host_of(url)
    except OddSpelling as problem:
        yield invalid(field, str(problem))
        return
    if host.scheme not in ("http", "https"):
        yield invalid(field, "must be an http or https address, such as https://login.example.com/token")
    elif "@" in url:
        yield invalid(field, "must not contain credentials; put them into the Secret of secretRef")
    elif "?" in url or "#" in url:
        yield invalid(field, "must have no '?' and no '#'")


def _is_plain(spec: CommonBrokerSpec) -> bool:
    return spec.url.lower().startswith("http://")
