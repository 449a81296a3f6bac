"""The gateway: serves the API, admits objects and stores them, puts commands on the bus, streams watches."""
