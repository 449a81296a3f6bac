"""The seam to a Kubernetes cluster: where Secrets, namespaces and recorded events live."""
