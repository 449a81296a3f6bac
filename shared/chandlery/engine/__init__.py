"""The engine of every worker: the reconcile loop, its batches, its commands to the bus."""
