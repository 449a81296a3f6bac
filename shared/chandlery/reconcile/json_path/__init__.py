"""Kubernetes' JSONPath templates. Pure."""
