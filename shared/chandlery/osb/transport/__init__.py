"""One HTTP call to a service broker: connections, deadline, limits. Knows nothing of OSB."""
