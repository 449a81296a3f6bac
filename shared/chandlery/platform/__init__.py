"""The platform that Chandlery serves: where Secrets, namespaces and recorded events live."""
