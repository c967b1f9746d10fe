"""MCP servers behind the gate: connections to them, and what makes their tools governed ones."""
