"""From a service broker's reply to an answer."""
