"""The first half of the state machine of a binding: snapshot -> action -> request. Pure."""
