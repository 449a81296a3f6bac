"""The way to a cluster: its address, whom to trust there, and who we are."""
