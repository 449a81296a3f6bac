"""What a service broker knows of a binding that nobody may see, to be struck out of what it says. Pure."""

from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.parameters.parameters import Parameters, hidden_values
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


def secrets_of(snapshot: BindingSnapshot, request: OsbRequest) -> KnownSecrets:
    """The parameters from Secrets, those of now and those that this request repeats; and the credentials it gave."""
    status, current, sealed = snapshot.binding.status, snapshot.parameters, snapshot.sealed
    states = (status.external_properties, status.in_progress_properties)
    shown = [state.parameters for state in states if state is not None]
    values: list[object] = [*snapshot.hidden, sealed.undelivered, sealed.delivered]
    if isinstance(current, Parameters):
        shown.append(current.shown)
    values += hidden_values(getattr(request, "parameters", None) or {}, *shown)
    return KnownSecrets(values)
