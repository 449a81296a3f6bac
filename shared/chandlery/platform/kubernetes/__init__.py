"""The platform that a Kubernetes cluster is: its Secrets, namespaces and events, by calls to its kube-apiserver."""
