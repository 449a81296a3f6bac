"""What workers follow of the cluster that they are installed in; nothing of it is loaded standalone."""
