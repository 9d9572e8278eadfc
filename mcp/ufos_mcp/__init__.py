"""The MCP server: a process of its own that never imports the engine and holds no keys."""
