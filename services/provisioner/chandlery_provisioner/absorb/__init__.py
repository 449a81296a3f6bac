"""The second half of the state machine of an instance: the broker's answer -> status and next step. Pure."""
