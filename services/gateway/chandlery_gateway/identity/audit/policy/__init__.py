"""Which requests are recorded, and how much of them."""
