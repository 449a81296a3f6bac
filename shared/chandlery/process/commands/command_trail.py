"""Entries of the audit log about what commands do in the database itself: tokens, keys, imports, after a restore."""

import getpass
from typing import Final

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.access.account_tokens import AccountToken
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.audit.system_entries import AUTHOR, COMMAND, Subject, subject_of, system_entry

_WHICH: Final = "audit.chandlery.io/token-id"
_EXTERNAL_ID: Final = "audit.chandlery.io/external-id"
_BROKER: Final = "audit.chandlery.io/broker"


def token_entry(verb: str, token: AccountToken) -> AuditEntry:
    """A token was made or revoked. Its id is no secret, and stands in lists and logs, too."""
    kind = kinds.SERVICE_ACCOUNT
    account = Subject(
        resource=kind.plural,
        subresource="token",
        namespace=token.namespace,
        name=token.account,
        uid=token.account_uid,
        api_group=kind.group,
        api_version=kind.version,
    )
    return system_entry(verb, account, by=COMMAND, annotations={AUTHOR: _login(), _WHICH: token.id})


def keys_entry(verb: str, key_id: str) -> AuditEntry:
    """Data keys were rotated, or everything is being encrypted anew with this one."""
    return system_entry(verb, Subject(resource="datakeys", name=key_id), by=COMMAND, annotations={AUTHOR: _login()})


def import_entry(document: AnyObject) -> AuditEntry:
    """An object was taken over from another platform."""
    return system_entry("import", subject_of(document), by=COMMAND, annotations={AUTHOR: _login()})


def restore_entry(verb: str) -> AuditEntry:
    """Work is held because the database was restored, or goes on."""
    return system_entry(verb, Subject(resource="work", name="restored"), by=COMMAND, annotations={AUTHOR: _login()})


def reconcile_entry(verb: str, subject: Subject, *, external_id: str, broker: str) -> AuditEntry:
    """What a service broker has was taken back into the database, or is to be deleted there."""
    told = {AUTHOR: _login(), _EXTERNAL_ID: external_id, _BROKER: broker}
    return system_entry(verb, subject, by=COMMAND, annotations=told)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container the user may have no name.
        return ""
