"""The trust between the gateway and the cluster it is installed in: whom it believes, and what it shows itself."""
