"""Reading a service broker's catalog."""
