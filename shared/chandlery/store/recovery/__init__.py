"""After a loss: a copy put back, numbers that go on behind it, work that is held until an operator has looked."""
