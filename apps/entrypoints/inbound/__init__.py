"""Three questions about callers of agents: the authorize call, forward auth for proxies, and public metadata."""
