"""The checks that the gateway brings: who gets in and how, and what is kept of what they do.

`main` announces them (`Service.doctor_checks`). Files are read as the gateway reads them, with its own sentences; none
is made.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.doctor.check import (
    ACCESS,
    Check,
    Result,
    checks_of,
    counted,
    fail,
    failed_with,
    ok,
    unused,
    warn,
    worst,
)
from chandlery.process.commands.doctor.daemon_thread import in_daemon_thread
from chandlery.settings.settings import Settings
from chandlery_gateway.http.listening import plain_http_problem
from chandlery_gateway.identity.audit.policy.policy_reading import read_policy
from chandlery_gateway.identity.audit.sinks.file_sink import STDOUT
from chandlery_gateway.identity.authenticators.configured_authenticators import static_token_problem
from chandlery_gateway.identity.authenticators.oidc.issuer_documents import IssuerSilent, fetch_keys
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer
from chandlery_gateway.identity.authenticators.oidc.oidc_flags import read_issuers
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator, read_users

_check = checks_of(ACCESS)
_OF_GATEWAY: Final = frozenset({"host", "port", "tls_cert_file", "token", "token_file", "serving_cert_secret"})
"""Settings that no worker has."""


def gateway_checks(settings: Settings) -> Sequence[Check]:
    """All of them."""

    async def providers() -> Result:
        return await _providers(settings)

    return [
        _check("plain-http", "Can tokens be read on their way to the gateway?", look=lambda: _plain_http(settings)),
        _check(
            "tokens", "Can the static tokens be read, and does anything let users in?", look=lambda: _tokens(settings)
        ),
        _check("static-tokens", "Are there tokens that never expire?", look=lambda: _static_tokens(settings)),
        _check(
            "identity-providers",
            "Can identity providers be reached, and do they tell of themselves and of their keys?",
            look=providers,
        ),
        _check(
            "cluster-trust",
            "In a cluster: does the gateway know its front proxy, and may it ask who users are and what they may do?",
            look=lambda: _cluster_trust(settings),
        ),
        _check(
            "serving-certificate",
            "In a cluster: is the certificate that gateways make valid, and does kube-apiserver know it?",
            look=lambda: _serving_certificate(settings),
        ),
        _check("audit", "Is there an audit log?", look=lambda: _audit(settings)),
        _check("audit-policy", "Can the policy of the audit log be read?", look=lambda: _policy(settings)),
        _check("audit-file", "Can the file of the audit log be written?", look=lambda: _audit_file(settings)),
    ]


def _plain_http(settings: Settings) -> Result:
    if problem := plain_http_problem(settings):
        return warn(*problem)
    return ok("nobody on the network can read what is sent to the gateway")


def _is_gateway_in_cluster(settings: Settings) -> bool:
    return settings.platform == "kubernetes" and bool(settings.model_fields_set & _OF_GATEWAY)


async def _cluster_trust(settings: Settings) -> Result:
    if not _is_gateway_in_cluster(settings):
        return unused("this is no gateway in a cluster")
    from chandlery_gateway.doctor.cluster_checks import cluster_trust  # noqa: PLC0415 - for a cluster alone

    return await cluster_trust(settings)


async def _serving_certificate(settings: Settings) -> Result:
    if not _is_gateway_in_cluster(settings):
        return unused("this is no gateway in a cluster")
    from chandlery_gateway.doctor.cluster_checks import serving_certificate  # noqa: PLC0415 - for a cluster alone

    return await serving_certificate(settings)


def _tokens(settings: Settings) -> Result:
    if settings.platform == "kubernetes":
        return unused("the cluster knows its users")
    users = read_users(settings.token, settings.token_file)
    issuers = read_issuers(settings)
    if settings.model_fields_set & _OF_GATEWAY:
        TokenAuthenticator(users, is_only_way=not issuers and settings.client_ca_file is None)
    if not users:
        return unused("there are no static tokens")
    return ok(f"static tokens let {counted(len(users), 'user')} in")


def _static_tokens(settings: Settings) -> Result:
    if problem := static_token_problem(settings):
        return warn(*problem)
    if settings.token:
        return ok("the static token is for this machine alone: the gateway listens on loopback")
    return unused("there is none")


def _audit(settings: Settings) -> Result:
    places = [
        *(["the database"] if settings.audit_table else []),
        *([settings.audit_log] if settings.audit_log else []),
    ]
    if places:
        shown = " and ".join("the standard output" if place == STDOUT else place for place in places)
        return ok(f"the audit log is kept in {shown}")
    return warn(
        "there is no audit log: nobody can tell later who did what, or who read which credentials",
        "set CHANDLERY_AUDIT_TABLE=true, or CHANDLERY_AUDIT_LOG",
    )


def _policy(settings: Settings) -> Result:
    if settings.audit_policy_file is None:
        return unused("CHANDLERY_AUDIT_POLICY_FILE is not set")
    return ok(f"the audit policy has {counted(len(read_policy(settings.audit_policy_file).rules), 'rule')}")


def _audit_file(settings: Settings) -> Result:
    if settings.audit_log in ("", STDOUT):
        return unused("the audit log is in no file")
    path = Path(settings.audit_log)
    try:
        seen: os.stat_result | None = path.lstat()
    except FileNotFoundError:
        seen = None
    except OSError as error:
        raise ConfigurationFault(f"CHANDLERY_AUDIT_LOG {path} cannot be written: {error.strerror}") from error
    if seen is not None and stat.S_ISLNK(seen.st_mode):
        return fail(f"CHANDLERY_AUDIT_LOG {path} is a symbolic link, which is not followed", "name the file itself")
    # Beside it the older ones are kept, so that the folder is written to as well.
    closed = [each for each in (path.parent, path) if not os.access(each, os.W_OK) and (each != path or seen)]
    if closed:
        return fail(
            f"CHANDLERY_AUDIT_LOG {path} cannot be written: this user may not write to {closed[0]}",
            f"make the folder {path.parent} for the gateway's user, or choose another place",
        )
    return ok(f"the audit log can be written to {path}")


async def _providers(settings: Settings) -> Result:
    issuers = await in_daemon_thread(lambda: read_issuers(settings))
    if not issuers:
        return unused("no identity provider is set")
    return worst(*[await _provider(each, allows_http=settings.oidc_allow_loopback_http) for each in issuers])


async def _provider(issuer: Issuer, *, allows_http: bool) -> Result:
    try:
        keys = await fetch_keys(issuer, allows_http=allows_http)
    except IssuerSilent as silent:
        return fail(
            f"the keys of {issuer.url} cannot be fetched: {silent}",
            "its users cannot get in until the gateway reaches it: check its address, CHANDLERY_OIDC_CA_FILE and the "
            "network from here",
        )
    except Fault as fault:
        return failed_with(fault)
    return ok(f"{issuer.url} answers with {counted(len(keys.keys), 'key')}")
