"""What runs beside the work: sweep, retention, leases, sealing."""
