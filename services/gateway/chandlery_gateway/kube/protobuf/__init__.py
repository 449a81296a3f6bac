"""Bodies in Kubernetes' protobuf. Pure."""
