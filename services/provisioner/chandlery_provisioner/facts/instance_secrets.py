"""What a service broker has been told of an instance that nobody may see, to be struck out of what it says. Pure."""

from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.parameters.parameters import Parameters, hidden_values
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot


def secrets_of(snapshot: InstanceSnapshot, request: OsbRequest) -> KnownSecrets:
    """The parameters from Secrets: those of now, and those that this request repeats."""
    status, current = snapshot.instance.status, snapshot.parameters
    states = (status.external_properties, status.in_progress_properties)
    shown = [state.parameters for state in states if state is not None]
    if isinstance(current, Parameters):
        shown.append(current.shown)
        values = hidden_values(current.sent, *shown)
    else:
        values = []
    values += hidden_values(getattr(request, "parameters", None) or {}, *shown)
    return KnownSecrets(values)
