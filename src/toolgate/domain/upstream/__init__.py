"""What the gate knows about MCP servers that stand behind it: how one is reached, and what its tools promised."""
