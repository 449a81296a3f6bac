"""What the gateway does otherwise standalone and in a Kubernetes cluster: who gets in, who may do what."""
