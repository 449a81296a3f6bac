"""The platform that Chandlery is by itself: Secrets, namespaces and events in our own database."""
