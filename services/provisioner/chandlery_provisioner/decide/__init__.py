"""The first half of the state machine of an instance: snapshot -> action -> request. Pure."""
