"""Names of users for what nobody asked for: each service's own, in the audit log and in the operation history."""

from typing import Final

PROVISIONER: Final = "system:chandlery:provisioner"
BINDER: Final = "system:chandlery:binder"
SYNCER: Final = "system:chandlery:syncer"
"""Takes along what a namespace or an owner that goes has."""
