"""The provisioner: provisions, updates, polls and deprovisions service instances, and mitigates orphans."""
