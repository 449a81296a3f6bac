"""What two workers look up alike: offerings, parameters, the way to a service broker."""
