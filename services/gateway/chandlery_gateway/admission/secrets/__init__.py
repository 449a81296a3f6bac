"""Rules about the Secrets that an object sends to a service broker. Pure."""
