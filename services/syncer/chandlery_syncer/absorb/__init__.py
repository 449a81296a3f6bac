"""What becomes of a service broker after its catalog was asked for. Pure."""
