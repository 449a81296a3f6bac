"""What to say, and which command helps, when the cluster does not let us read or write a Secret. Pure.

Rights to Secrets are given namespace by namespace, by whoever opts in; so to be refused is nothing unusual, and the
sentence is shown to the user in the condition of the object that needs the Secret.
"""

import re
from typing import Final

from chandlery.model.faults import BadRequest, Fault, Forbidden, Invalid
from chandlery.platform.kubernetes.faults import is_terminating
from chandlery.reconcile.kubectl_commands import delete_secret

SECRETS_ROLE: Final = "chandlery:secrets"
READER_ROLE: Final = "chandlery:secret-reader"
"""ClusterRoles that come with the installation, for RoleBindings in each namespace that opts in: the first for who
writes Secrets, the other for who only reads them. The chart makes both by these names, whatever its release's is."""
_MISSING_RIGHT: Final = re.compile(r'User "(?P<user>[^"]{1,200})" cannot (?P<verb>[a-z]{1,20}) resource')
_ACCOUNT: Final = re.compile(r"system:serviceaccount:(?P<namespace>[a-z0-9-]+):(?P<name>[a-z0-9.-]+)")
_VERBS: Final = {"get": "read", "create": "created", "patch": "changed", "delete": "deleted"}


def opt_in(namespace: str, user: str, *, writes: bool) -> str:
    """The command by which a namespace lets us write, or only read, its Secrets."""
    role = SECRETS_ROLE if writes else READER_ROLE
    account = _ACCOUNT.fullmatch(user)
    subject = f"--serviceaccount={account['namespace']}:{account['name']}" if account else f"--user={user}"
    # Of several workers each has a binding of its own, so that the next one's command finds no other in its way.
    binding = f"{account['name']}-{role.rpartition(':')[2]}" if account else role
    return f"kubectl create rolebinding {binding} -n {namespace} --clusterrole={role} {subject}"


def explained(fault: Fault, namespace: str, name: str, *, writes: bool) -> Fault:
    """The fault about the Secret with a way out, where there is one; any other as it is. `writes`: not only reads."""
    if isinstance(fault, Forbidden):
        return Forbidden(_why_forbidden(fault, namespace, name, writes=writes), problems=fault.problems)
    if isinstance(fault, Invalid) and "immutable" in fault.message:
        way_out = f"Delete it, and it is written anew: {delete_secret(namespace, name)}"
        return Invalid(f'the Secret "{namespace}/{name}" was made immutable. {way_out}')
    if isinstance(fault, BadRequest):
        # So answers a webhook of the cluster that denies it and gives no status of its own, too.
        return Invalid(f'the Secret "{namespace}/{name}" is not accepted: {fault.message}')
    return fault


def _why_forbidden(fault: Forbidden, namespace: str, name: str, *, writes: bool) -> str:
    secret, words = f'the Secret "{namespace}/{name}"', fault.message
    if is_terminating(fault):
        return f"{secret} cannot be written: {words}"
    if "exceeded quota" in words:
        return f"{words}. To see what takes the room: kubectl describe resourcequota -n {namespace}"
    if "blockOwnerDeletion" in words:
        return (
            f"{secret} cannot be written: our service account may not update servicebindings/finalizers, which an "
            "owner reference that blocks deletion asks for. The ClusterRole of the installation allows it"
        )
    if (missing := _MISSING_RIGHT.search(words)) is not None:
        # Who is to write looks first whether it is there.
        verb = "written" if writes and missing["verb"] == "get" else _VERBS.get(missing["verb"], "changed")
        command = opt_in(namespace, missing["user"], writes=writes)
        return f"{secret} may not be {verb}: the namespace has not opted in. Whoever runs it types: {command}"
    return words
