"""What `chandlery doctor` asks of the gateway's own settings and files."""
