"""The Open Service Broker API, v2.17, from the platform's side: requests as values, one client, answers as data."""
