"""What a service broker knows of a binding that nobody may see, to be struck out of what it says. Pure."""

from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.parameters.parameters import Parameters, hidden_values
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


def secrets_of(snapshot: BindingSnapshot, request: OsbRequest) -> KnownSecrets:
    """The parameters from Secrets, those of now and those that this request repeats; and the credentials it gave."""
    status, current, note = snapshot.binding.status, snapshot.parameters, snapshot.in_flight
    states = (status.external_properties, status.in_progress_properties)
    shown = [state.parameters for state in states if state is not None]
    values: list[object] = [*snapshot.hidden, *((note.credentials, note.delivered) if note else ())]
    if isinstance(current, Parameters):
        shown.append(current.shown)
    values += hidden_values(getattr(request, "parameters", None) or {}, *shown)
    return KnownSecrets(values)
