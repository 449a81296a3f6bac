"""`chandlery import`: moving in from another platform, without a call that changes anything at a service broker."""
