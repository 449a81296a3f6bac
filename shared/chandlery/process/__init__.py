"""The top of the shared layers: settings, logging, probes, the worker loop, and the composition of adapters."""
