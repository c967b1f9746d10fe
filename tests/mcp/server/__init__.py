"""The gate as an MCP server, asked by real clients."""
