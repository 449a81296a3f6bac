"""Where old objects come from: dumps, a cluster; and where the namespaces and Secrets are that they use."""
