"""Role-based access control as Kubernetes has it: rules, whom they are given to, and decisions from memory."""
