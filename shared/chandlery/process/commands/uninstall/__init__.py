"""What is looked at before Chandlery leaves a cluster."""
