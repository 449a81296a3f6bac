"""The gateway: serves the API, admits and stores wishes, puts commands on the bus, streams watches."""
