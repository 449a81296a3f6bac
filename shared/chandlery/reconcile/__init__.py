"""The pure kernel that the state machines share: answers of brokers, orphan mitigation, references, parameters. No I/O."""
