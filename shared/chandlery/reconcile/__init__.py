"""The pure kernel that the state machines share: answers, orphan mitigation, references, parameters."""
