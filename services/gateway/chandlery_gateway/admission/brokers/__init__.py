"""The rules of ClusterServiceBroker and ServiceBroker: where they are, how to authenticate, how to be dealt with."""
