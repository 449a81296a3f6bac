"""The second half of the state machine of a binding: the broker's answer -> status and next step. Pure."""
