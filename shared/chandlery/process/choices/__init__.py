"""Which adapter a process gets, as its settings say: bus, keys, tracing, platform."""
