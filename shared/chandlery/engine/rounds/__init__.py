"""The parts of one round of the reconcile loop."""
