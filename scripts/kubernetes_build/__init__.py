"""The servers of a real cluster for the tests, built once from Debian's source package of Kubernetes."""
