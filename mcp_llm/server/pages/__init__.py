"""Pages for people: comparison, run viewer, usage and settings, as MCP Apps in a host and on loopback without one."""
