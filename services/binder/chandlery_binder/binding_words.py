"""Sentences that tell people the way out of a state. Pure."""

from chandlery.model.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, RETRY, ROTATE
from chandlery.model.metadata import ObjectMeta

HOW_TO_RETRY = (
    f"To have it tried again, annotate the binding with a new value of {RETRY}; "
    f"what cannot be corrected elsewhere needs another binding, as the specification of this one never changes"
)
HOW_TO_ROTATE = f"To get other credentials, annotate the binding with a new value of {ROTATE}"
HOW_TO_MITIGATE = (
    f"The broker may have a binding that nobody can use; it is unbound once the ServiceBinding is annotated with "
    f"{ORPHAN_MITIGATION}=Automatic (kubectl annotate servicebinding NAME {ORPHAN_MITIGATION}=Automatic), left alone "
    f"with {ORPHAN_MITIGATION}=Waive, and unbound too when the ServiceBinding is deleted"
)
HOW_TO_FORGET = (
    f"To let the ServiceBinding go all the same, annotate it with {ABANDON}=true, and the broker is not asked, "
    f"or with {FORCE_DELETE}=true, and it is asked once"
)
ROTATING = "The broker makes other credentials; those in the Secret stay good until they are replaced"
STARTING_MITIGATION = "The broker may have a binding that nobody can use; it is being unbound"
WAIVED = "What the broker may have of a failed bind is left alone until the ServiceBinding is deleted"
LEFTOVER = "A rotation failed, and the broker may have credentials that nobody uses"


def create_anew(meta: ObjectMeta) -> str:
    """For what is wrong with a binding itself, whose specification never changes."""
    return (
        f"The specification of a binding never changes: correct your manifest, then delete this binding and create it "
        f"anew: kubectl delete servicebinding {meta.name} -n {meta.namespace}"
    )
