"""The MCP server: an assistant's way into research. It holds no keys and never imports the engine."""
