"""Who asks, and what they may do, when a Kubernetes cluster says so: front proxy, certificates, reviews."""
