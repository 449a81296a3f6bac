"""Pages beside the API of Kubernetes: the documentation, the metrics."""
